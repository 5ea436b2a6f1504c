"""Translations: what is read for them, and files of mean, spread, each draw and a preview."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax import data
from msflow_jax.data import Info
from msflow_jax.data.pictures import Picture
from msflow_jax.data.slices import Slices
from msflow_jax.data.sources.images import read_sized_images
from msflow_jax.data.sources.sliced import SlicedVolume
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.images import choose_format, to_values, write_image

FOLDERS = ("mean", "spread", "samples", "preview")
_WHITE = 0.25  # spread, as a share of the range, that is white in a picture
Join = Callable[[np.ndarray], Picture]


@dataclass(frozen=True)
class Sources:
    """What is to be translated.

    Attributes:
        images: uint8 ``[N, *shape]``.
        parts: name, rows of the images, and the volume that slices are of; None for pictures.
        kind: format of the files.
        volumes: of slices the number of their volume, ``[N]``; else None.
        axis: along which volumes were cut; empty where none was.
        spacings: of whole volumes size in mm of the voxels that are drawn of each, empty where not
            known; none: as those trained on.
    """

    images: np.ndarray
    parts: Sequence[tuple[str, slice, SlicedVolume | None]]
    kind: str
    volumes: np.ndarray | None = None
    axis: str = ""
    spacings: Sequence[tuple[float, ...]] = ()

    @property
    def noun(self) -> str:
        """What there are several of."""
        return "images" if self.volumes is None else "volumes"

    def facts(self, one_noise: bool) -> dict[str, Any]:
        """What a record says of volumes."""
        if self.volumes is None:
            one = self.spacings[0] if len(set(self.spacings)) == 1 else ()
            return {"spacing": list(one) or None} if self.spacings else {}
        noise = "one of each volume" if one_noise else "one of each slice"
        return {"slices": self.axis, "noise": noise, "spacing": None, "grid": "of each file"}

    def drawn_of(self, i: int, info: Info) -> Info:
        """The facts on what is drawn of an image: those on the target, with the size of its voxels."""
        return dataclasses.replace(info, spacing=self.spacings[i]) if self.spacings else info


def read_sources(
    flow: Flow, path: str, source: str, target: str, *, resize: bool, file_format: str
) -> Sources:
    """Reads what is to be translated: pictures or volumes; of a model of slices their slices.

    Args:
        flow: opened workdir.
        path: see :func:`msflow_jax.data.read_images`.
        source: modality of the images.
        target: what will be drawn.
        resize: whether images of another size are brought to the model's.
        file_format: as requested; empty: the usual one.

    Raises:
        ValueError: an unknown modality, images that do not fit, or a format that they cannot have.
    """
    shown, drawn = flow.images_of(source), flow.images_of(target)
    volumes: Sequence[Any] = ()
    slices = Slices.of(flow.config.data.slices)
    if shown.dims == drawn.dims == 2:
        volumes = data.read_volumes(path, shown, slices, resize=resize)
    if not volumes:
        kind = choose_format(file_format, drawn.dims)
        found = read_sized_images(path, shown, resize=resize)
        parts = [(name, slice(i, i + 1), None) for i, name in enumerate(found.names)]
        whole = drawn.dims == 3 and shown.sides == drawn.sides
        return Sources(found.images, parts, kind, spacings=found.spacings if whole else ())
    if file_format not in ("", "nifti"):
        raise ValueError(
            f"--format={file_format}: {path} holds volumes, and what is drawn of them is written as "
            "NIfTI: leave --format out"
        )
    counts = [len(one.slices) for one in volumes]
    ends = np.cumsum(counts).tolist()
    parts = [
        (one.name, slice(end - count, end), one)
        for one, count, end in zip(volumes, counts, ends, strict=True)
    ]
    images = np.concatenate([one.slices for one in volumes])
    of = np.repeat(np.arange(len(volumes)), counts)
    return Sources(images, parts, choose_format("nifti", 3), of, slices.axis)


def write_translation(
    folder: Path, stem: str, draws: np.ndarray, info: Info, kind: str, words: str
) -> dict[str, Any]:
    """Writes the draws of one image.

    The spread is a picture, white where it is a quarter of the range; as NIfTI it has the unit of the
    target, as the record says of all files.

    Args:
        folder: folder that holds ``FOLDERS``.
        stem: of the files' names.
        draws: uint8 ``[K, *space, C]``.
        info: facts on the data of the target, see ``Sources.drawn_of``.
        kind: format of the files, see ``images.FORMATS``.
        words: what they show, for formats that can say so.

    Returns:
        What a record says: ``mean_spread``, as a share of the range, ``files``, and of NIfTI files
        ``spacing``, None where the size of their voxels is not known. Of one draw ``mean_spread`` is
        None, and there is no file of a spread.
    """
    mean, deviation = moments(draws)
    grey = np.rint(mean).astype(np.uint8)
    files = [write_image(folder / "mean" / stem, grey, info, kind, words)]
    if deviation is not None and kind == "nifti":
        from msflow_jax.data.sources.nifti.writing import write_nifti

        spread = (_unit(info) * deviation).astype(np.float32)
        if spread.shape[-1] > 1:  # NIfTI has colours of 8 bits alone
            spread = spread.mean(axis=-1, keepdims=True)
        files += [write_nifti(folder / "spread" / f"{stem}.nii.gz", spread, spacing=info.spacing)]
    elif deviation is not None:
        levels = spread_levels(deviation)
        files += [write_image(folder / "spread" / stem, levels, info, kind, f"spread: {words}")]
    for k, one in enumerate(draws):
        files += [write_image(folder / "samples" / f"{stem}_{k}", one, info, kind, words)]
    size = {"spacing": list(info.spacing) or None} if kind == "nifti" else {}
    return {**_said(folder, files, deviation), **size}


def write_volume(
    folder: Path, stem: str, draws: np.ndarray, join: Join, info: Info, like: Path | None = None
) -> dict[str, Any]:
    """Writes the draws of all slices of a volume as NIfTI files, in the units of the target.

    Args:
        folder: folder that holds ``FOLDERS``.
        stem: of the files' names.
        draws: uint8 ``[K, N, *space, C]``.
        join: slices to a volume, see ``data.sources.sliced.SlicedVolume``.
        info: facts on the data of the target.
        like: the NIfTI file that the volume is of, in whose order of axes voxels are written; None: RAS.

    Returns:
        As :func:`write_translation`, and ``unseen_share``: of the voxels that no draw is of, since they
        were cut off before. Their spread is NaN, as it is not known; other files have the lowest value.
    """
    from msflow_jax.data.sources.nifti.writing import write_nifti, write_nifti_like

    intensity = info.intensity()
    unit = _unit(info)
    mean, deviation = moments(draws)

    def values(grey: np.ndarray) -> np.ndarray:
        whole = np.rint(grey).astype(np.uint8) if intensity.kind == "full" else grey
        return to_values(whole, intensity)

    def in_units(grey: np.ndarray) -> np.ndarray:
        return (unit * grey).astype(np.float32)

    unseen, spacing = 0.0, tuple[float, ...]()

    def write(part: str, name: str, images: np.ndarray, convert: Any) -> Path:
        nonlocal unseen, spacing
        joined = join(images)
        spacing = joined.spacing
        found, path = convert(joined.values), folder / part / f"{name}.nii.gz"
        if found.shape[-1] > 1 and found.dtype != np.uint8:  # NIfTI has colours of 8 bits alone
            found = found.mean(axis=-1, keepdims=True).astype(found.dtype)
        if joined.missing is not None:
            unseen = float(joined.missing.mean())
            if part == "spread":  # 0 would say that all draws agree there
                found[joined.missing] = np.nan
        if like is not None:
            return write_nifti_like(path, found, like, gaps=part == "spread")
        return write_nifti(
            path, found, affine=joined.affine, spacing=spacing, gaps=part == "spread"
        )

    files = [write("mean", stem, mean, values)]
    if deviation is not None:
        files.append(write("spread", stem, deviation, in_units))
    for k, one in enumerate(draws):
        files += [write("samples", f"{stem}_{k}", one.astype(np.float32), values)]
    said = _said(folder, files, deviation)
    return {**said, "unseen_share": unseen, "spacing": list(spacing) or None}


def warn_of_unseen(entries: Sequence[dict[str, Any]]) -> None:
    """One line where volumes were not drawn as a whole, which files of whole numbers cannot show."""
    cut = [one for one in entries if one.get("unseen_share")]
    if cut:
        unknown = "" if cut[0]["mean_spread"] is None else "NaN in spread, "
        warnings.warn(
            f"of {len(cut)} of {len(entries)} volumes a part was cut off before the model saw it "
            f"({cut[0]['name']}: {cut[0]['unseen_share']:.1%}; data.fit, and voxels beside the grid "
            f"that was drawn): it is {unknown}in mean and samples the lowest value, which was "
            "not drawn; unseen_share in translated.json; a model of data.fit=pad draws all of it",
            stacklevel=3,
        )


def moments(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean and sample standard deviation over the draws, float32; of a single one no deviation."""
    found = draws.astype(np.float32)
    return found.mean(axis=0), found.std(axis=0, ddof=1) if len(draws) > 1 else None


def mean_spread(deviation: np.ndarray | None) -> float | None:
    """The mean of a deviation of grey levels, as a share of the range; None without one."""
    return None if deviation is None else float(deviation.mean() / 255)


def _unit(info: Info) -> float:
    """What one grey level is in the values of files."""
    intensity = info.intensity()
    return 1.0 if intensity.kind == "full" else (intensity.high - intensity.low) / 255


def spread_levels(deviation: np.ndarray) -> np.ndarray:
    """A spread of grey levels as a picture uint8: white where it is a quarter of the range."""
    return np.rint(np.clip(deviation / _WHITE, 0, 255)).astype(np.uint8)


def _said(folder: Path, files: list[Path], deviation: np.ndarray | None) -> dict[str, Any]:
    return {
        "mean_spread": mean_spread(deviation),
        "files": [file.relative_to(folder).as_posix() for file in files],
    }
