"""Reading a NIfTI volume and a DICOM series, against plain nibabel and plain pydicom.

    python benchmarks/medical_files.py --output benchmarks/results/medical_files_cpu.json

A smooth head with noise, 150 slices of 256 x 256 int16, is written as ``.nii.gz``, as the same with
``scl_slope``, as ``.nii`` and as a series of DICOM files, and read in turns from the page cache. Ours
also checks, orients and refuses; the ratio is of the fastest of all rounds, each to each,
and beside it that of the seconds of the processor, which others on the machine disturb less.
"""

import argparse
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import keep, limit_threads, measure, processor

SLICES, SIDE = 150, 256


def parse() -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="timed, after two of warm-up")
    parser.add_argument("--slices", type=int, default=SLICES)
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--output")
    return parser.parse_args()


def head(slices: int, side: int) -> np.ndarray:
    """int16 ``[D, H, W]``: an ellipsoid that fades, with noise within and none in the air."""
    axes = [np.linspace(-1, 1, n) for n in (slices, side, side)]
    radius = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij")))
    noise = np.random.default_rng(0).normal(0, 12, radius.shape)
    inside = radius < 0.85
    return np.where(inside, 900 - 600 * radius + noise, 0).astype(np.int16)


def write_nifti(folder: Path, values: np.ndarray) -> dict[str, Path]:
    """The volume as scanners' converters store it: the first axis from right to left."""
    import nibabel

    affine = np.diag([-0.9, 0.9, 1.2, 1.0])
    stored = values.transpose(2, 1, 0)[:, ::-1]
    paths = {"nii.gz": folder / "a.nii.gz", "nii": folder / "a.nii"}
    for path in paths.values():
        nibabel.save(nibabel.Nifti1Image(stored, affine), path)
    scaled = nibabel.Nifti1Image(stored, affine)
    scaled.header.set_slope_inter(0.5, -100.0)
    paths["nii.gz, scl_slope"] = folder / "scaled.nii.gz"
    nibabel.save(scaled, paths["nii.gz, scl_slope"])
    return paths


def write_series(folder: Path, values: np.ndarray) -> list[Path]:
    """The volume as a series of CT files, without compression."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    series, study, frame = (generate_uid() for _ in range(3))
    paths = []
    for number, page in enumerate(values):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        found = Dataset()
        found.file_meta = meta
        found.SOPClassUID, found.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        found.SeriesInstanceUID, found.StudyInstanceUID = series, study
        found.FrameOfReferenceUID, found.Modality, found.PatientID = frame, "CT", "phantom"
        found.Rows, found.Columns = page.shape
        found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
        found.BitsAllocated, found.BitsStored, found.HighBit = 16, 16, 15
        found.PixelRepresentation = 1
        found.PixelSpacing, found.SliceThickness = [0.9, 0.9], 1.2
        found.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        found.ImagePositionPatient = [-115.0, -115.0, 1.2 * number]
        found.RescaleSlope, found.RescaleIntercept, found.InstanceNumber = 1, -1024, number + 1
        found.RescaleType = "HU"
        found.PixelData = page.tobytes()
        paths.append(folder / f"{number:04d}.dcm")
        found.save_as(paths[-1], enforce_file_format=True)
    return paths


def plain_series(paths: list[Path]) -> np.ndarray:
    """What a script does with pydicom: read, sort, rescale, stack."""
    import pydicom

    found = sorted(map(pydicom.dcmread, paths), key=lambda d: float(d.ImagePositionPatient[2]))
    return np.stack([pydicom.pixels.apply_rescale(d.pixel_array, d) for d in found])


def main() -> None:
    """Writes, checks that all give the same values, measures, and keeps the record."""
    args = parse()
    limit_threads(1)
    import nibabel
    import pydicom

    from msflow_jax.data.sources.dicom.series import read_series
    from msflow_jax.data.sources.nifti.reading import read_nifti

    with tempfile.TemporaryDirectory() as name:
        folder, values = Path(name), head(args.slices, args.side)
        files, series = write_nifti(folder, values), write_series(folder / "series", values)
        ours: dict[str, Callable[[], Any]] = {"series": lambda: read_series(series).values}
        plain: dict[str, Callable[[], Any]] = {"series": lambda: plain_series(series)}
        for kind, path in files.items():
            ours[kind] = lambda path=path: read_nifti(path).values
            plain[kind] = lambda path=path: np.asanyarray(nibabel.load(path, mmap=False).dataobj)
        plain["series, bare"] = lambda: np.stack([pydicom.dcmread(p).pixel_array for p in series])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for kind in ours:
                check(kind, ours[kind](), plain[kind]())
        runs = {("ours", k): run for k, run in ours.items()}
        runs |= {("plain", k): run for k, run in plain.items()}
        times = measure(runs, args.rounds)
    best = {key: np.min(found, axis=0).tolist() for key, found in times.items()}
    median = {key: float(np.median([wall for wall, _ in found])) for key, found in times.items()}
    record: dict[str, Any] = {
        "processor": processor(), "rounds": args.rounds, "volume": [args.slices, args.side, args.side],
        "versions": {m.__name__: m.__version__ for m in (np, nibabel, pydicom)}, "results": {},
    }  # fmt: skip
    for kind in ours:
        (wall, cpu), (plain_wall, plain_cpu) = best["ours", kind], best["plain", kind]
        record["results"][kind] = {
            "ours_seconds": round(wall, 4), "plain_seconds": round(plain_wall, 4),
            "ratio": round(wall / plain_wall, 3), "ratio_of_cpu_seconds": round(cpu / plain_cpu, 3),
            "ratio_of_medians": round(median["ours", kind] / median["plain", kind], 3),
        }  # fmt: skip
        print(
            f"{kind:18s} ours {wall:.3f} s, plain {plain_wall:.3f} s, ratio {wall / plain_wall:.2f}, of "
            f"CPU seconds {cpu / plain_cpu:.2f}"
        )
    bare = best["plain", "series, bare"][0]
    record["results"]["series"]["dcmread_and_pixel_array_seconds"] = round(bare, 4)
    print(
        f"dcmread and pixel_array alone {bare:.3f} s, ratio {best['ours', 'series'][0] / bare:.2f}"
    )
    keep(record, args.output)


def check(kind: str, ours: np.ndarray, plain: np.ndarray) -> None:
    """Ours has the axes of a picture, nibabel's those of the file."""
    if kind != "series":
        plain = plain.transpose(2, 1, 0)[:, ::-1]
    np.testing.assert_array_equal(ours[..., 0], plain.astype(ours.dtype))


if __name__ == "__main__":
    main()
