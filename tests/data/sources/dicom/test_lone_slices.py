"""A DICOM slice alone: it lies as the same slice of its series does, wherever it is read."""

import warnings

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.base import own_info
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.slices import Slices
from msflow_jax.data.sources.reading import read_picture
from msflow_jax.data.sources.restoring import read_segmentable
from tests.data.sources.cohort import cohorts
from tests.data.sources.dicom.dicom_objects import PLANES, make_object, make_series
from tests.data.sources.dicom.test_dicom_series import DIRECTIONS
from tests.data.sources.listings.test_files import load, write_csv

pydicom = pytest.importorskip("pydicom")
VOLUME = np.random.default_rng(0).integers(0, 2000, (6, 6, 6), dtype=np.int16)
WINDOW = (-1024.0, 1024.0)
UPSIDE_DOWN = ((-1, 0, 0), (0, -1, 0))


def across(plane):
    """Along which axis of a volume a plane's slices follow each other."""
    normal = np.cross(*PLANES.get(plane, plane))
    return ("sagittal", "coronal", "axial")[int(np.abs(normal).argmax())]


@pytest.mark.parametrize("extra", [{}, {"PixelSpacing": None}], ids=["", "no size"])
@pytest.mark.parametrize("plane", [*PLANES, *DIRECTIONS], ids=str)
def test_alone_as_out_of_its_series(tmp_path, plane, extra):
    """The file, and the folder that holds nothing else."""
    paths = make_series(tmp_path / "all", VOLUME, plane=plane, spacing=(2.0, 0.7, 0.6), **extra)
    volume = read_picture(tmp_path / "all")
    slices = Slices(across(plane))
    (tmp_path / "one").mkdir()
    alone = tmp_path / "one" / "a.dcm"
    found = []
    for path in paths:
        alone.write_bytes(path.read_bytes())
        first, second = read_picture(path), read_picture(alone.parent)
        np.testing.assert_array_equal(first.values, second.values)
        assert first.spacing == second.spacing == pytest.approx(slices.pixel(volume.spacing))
        found.append(first.values.tobytes())
    whole = [np.ascontiguousarray(slices.take(volume.values, n)).tobytes() for n in range(6)]
    assert sorted(found) == sorted(whole)


def test_what_has_no_place_stays_as_stored(tmp_path):
    path = make_object(tmp_path / "x.dcm", VOLUME[0], modality="CR")
    np.testing.assert_array_equal(read_picture(path).values[..., 0], VOLUME[0])


def lone(folder, plane):
    """Ten subjects of one slice each, of two classes, cut in some plane."""
    names = []
    for i in range(10):
        name = f"{'ab'[i % 2]}/{i}.dcm"
        turned = make_series(
            folder / f"whole{i}", (VOLUME + i)[2:3], plane=plane, spacing=(2.0, 1.0, 1.0),
            series=i + 1, patient=f"P{i}",
        )[0]  # fmt: skip
        (folder / "lone" / name).parent.mkdir(parents=True, exist_ok=True)
        turned.rename(folder / "lone" / name)
        names.append(name)
    return folder / "lone", names


def by_folder(root, _):
    return load(root, window=WINDOW)


def by_manifest(root, names):
    lines = [f"{name},{name[0]}" for name in names]
    return load(write_csv(root / "list.csv", "path,label", *lines), "manifest", window=WINDOW)


def by_cohort(root, names):
    rows = [{"ct": name, "label": name[0]} for name in names]
    return cohorts.load(cohorts.table(root, rows), dims=2, window=WINDOW)


@pytest.mark.parametrize("read", [by_folder, by_manifest, by_cohort])
def test_every_source_reads_a_turned_slice_as_the_straight_one(tmp_path, read):
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for plane in ("axial", UPSIDE_DOWN):
            folder, names = lone(tmp_path / str(len(found)), plane)
            splits = read(folder, names)
            assert splits.train.names
            classified, _ = data.read_images(folder, splits.info)
            found.append((splits.train.names, splits.train.images, classified))
    (names, train, images), (others, train_turned, images_turned) = found
    assert names == others
    np.testing.assert_array_equal(train, train_turned)
    np.testing.assert_array_equal(images, images_turned)


@pytest.mark.parametrize("plane", [*PLANES, *DIRECTIONS], ids=str)
def test_maps_of_a_slice_alone_lie_on_its_file(tmp_path, plane):
    """Programs that read the file alone do not turn it."""
    volume = np.random.default_rng(1).integers(0, 1000, (7, 8, 9), dtype=np.int16)
    path = make_series(tmp_path, volume, plane=plane, modality="MR")[1]
    pixels = pydicom.dcmread(path).pixel_array
    intensity = Intensity("percentiles", 0, 1000, "", "MR")
    info = own_info(
        ("a", "b"), (12, 12, 1), name="folder", licence="", md5="", source="", intensity=intensity,
        fit="pad",
    )  # fmt: skip
    _, (one,) = read_segmentable(path, info, Slices(), resize=True)
    found = one.restore(np.zeros((1, 12, 12), np.uint8), np.zeros((1, 12, 12), np.float32))
    np.testing.assert_array_equal(found.grey[..., 0], intensity.to_grey(pixels))
    assert found.maps.shape == found.unseen.shape == found.uncertainty.shape == pixels.shape
    assert found.spacing == tuple(pydicom.dcmread(path).PixelSpacing)
