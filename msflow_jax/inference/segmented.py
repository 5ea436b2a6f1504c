"""What a segmentation leaves for the user: masks, overlays, maps of uncertainty, a table of areas."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.sources.decoding import encode
from msflow_jax.data.sources.finding import file_names, suffix_of
from msflow_jax.data.sources.nifti.reading import SUFFIXES
from msflow_jax.data.sources.nifti.writing import write_nifti, write_nifti_like
from msflow_jax.data.sources.restored import Restored
from msflow_jax.data.sources.restoring import Segmentable
from msflow_jax.inference.images import warn_of_unsized
from msflow_jax.progress import track
from msflow_jax.reports.label_colours import label_colours, lay_over
from msflow_jax.reports.planes import three_planes
from msflow_jax.storage.jsons import write_json
from msflow_jax.storage.text import write_csv

FOLDERS = MASKS, OVERLAYS, UNCERTAINTY = "masks", "overlays", "uncertainty"
TABLE, RECORD = "segmented.csv", "segmented.json"
FILES = (*FOLDERS, TABLE, RECORD)
MEANING = (
    "entropy of the class probabilities of all noise draws together, as a share of the largest, "
    "log K; in pictures 255 is 1. 1 where the model saw nothing (cut off), and class 0"
)


def write_segmented(
    folder: Path, found: Any, given: Sequence[Segmentable], classes: Sequence[str],
    record: Mapping[str, Any],
) -> list[dict[str, Any]]:  # fmt: skip
    """Writes ``FILES`` into a folder.

    Args:
        folder: a folder that is there, and empty.
        found: :class:`~msflow_jax.inference.segmenting.Segmented` of the images; where they are fewer
            than given, pictures and volumes are written that are whole.
        given: what the images are of.
        classes: class names.
        record: what ``segmented.json`` says beside.

    Returns:
        The rows of the table.
    """
    for name in FOLDERS:
        (folder / name).mkdir()
    whole = [one for one in given if one.rows.stop <= len(found.maps)]
    rows, entries = [], []
    stems = file_names([one.name for one in given])
    for i, one in enumerate(track(whole, "Writing masks")):
        own = one.restore(found.maps[one.rows], found.uncertainty[one.rows])
        write = _write_picture if own.maps.ndim == 2 else _write_volume
        files = write(folder, stems[i], own, len(classes))
        rows.append({"name": one.name, **_measured(own, classes), **files})
        size = {"spacing": list(own.spacing) or None} if own.maps.ndim == 3 else {}
        entries.append({**rows[-1], **size})
    warn_of_unsized(entries, RECORD)
    columns = ["name"] if not rows else []
    write_csv(folder / TABLE, rows, columns)
    known = [
        {"number": k, "name": name, "colour": colour}
        for k, (name, colour) in enumerate(zip(classes, colours_of(classes), strict=True))
    ]
    write_json(
        folder / RECORD, {**record, "uncertainty": MEANING, "classes": known, "images": entries}
    )
    return rows


def colours_of(classes: Sequence[str]) -> list[str]:
    """The colours of the classes in overlays, ``#rrggbb``; black stands for class 0, which has none."""
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in label_colours(len(classes)).tolist()]


def regions(own: Restored, classes: int) -> list[dict[str, Any]]:
    """What there is of each class.

    What the model was not shown is in no class's count: it was not found to be background.

    Returns:
        Of each class ``pixels``; ``share`` of the pixels that the model was shown; ``size``, in mm2 or
        mm3, None where that of a pixel is not known; mean ``uncertainty``, None where it has no pixel.
    """
    counts = np.bincount(own.maps[~own.unseen].ravel(), minlength=classes).tolist()
    size, found = float(np.prod(own.spacing)) if own.spacing else None, []
    for k, count in enumerate(counts):
        inside = own.uncertainty[(own.maps == k) & ~own.unseen]
        found.append({
            "pixels": count, "share": count / max(1, sum(counts)),
            "size": None if size is None else count * size,
            "uncertainty": float(inside.mean()) if inside.size else None,
        })  # fmt: skip
    return found


def _measured(own: Restored, classes: Sequence[str]) -> dict[str, Any]:
    """The columns of a table: pixels, area or volume, and mean uncertainty of each class."""
    unit, row, mean = unit_of(own), dict[str, Any](), mean_uncertainty(own)
    for name, one in zip(classes, regions(own, len(classes)), strict=True):
        size, unsure = one["size"], one["uncertainty"]
        row[f"{name} (pixels)"] = one["pixels"]
        row[f"{name} ({unit})"] = "" if size is None else f"{size:.6g}"
        row[f"{name} (uncertainty)"] = "" if unsure is None else f"{unsure:.4f}"
    return {
        **row,
        "mean_uncertainty": "" if mean is None else f"{mean:.4f}",
        "unseen_share": f"{own.unseen.mean():.4f}",
    }


def mean_uncertainty(own: Restored) -> float | None:
    """Mean uncertainty in [0, 1] of what the model was shown; None where it was shown nothing."""
    seen = own.uncertainty[~own.unseen]
    return float(seen.mean()) if seen.size else None


def unit_of(own: Restored) -> str:
    """``mm2`` of a picture, ``mm3`` of a volume."""
    return f"mm{own.maps.ndim}"


def flattened(own: Restored, values: np.ndarray) -> np.ndarray:
    """Values on the grid of a file as a picture, uint8 ``[*space, C]`` to ``[h, w, C]``.

    Of a volume the three planes through the middle of what is no class 0.
    """
    if own.maps.ndim == 2:
        return values
    there = np.argwhere(own.maps > 0)
    at = np.median(there, axis=0).astype(int) if len(there) else None
    return three_planes(values, at, own.spacing)


def overlay_of(own: Restored, classes: int) -> np.ndarray:
    """The image with the colours of its classes over it as a picture, uint8 ``[h, w, 3]``."""
    return flattened(own, lay_over(own.grey[None], own.maps[None], classes)[0])


def levels_of(own: Restored) -> np.ndarray:
    """The uncertainty as grey levels, uint8 ``[*space, 1]``; 255 is 1."""
    return np.rint(255 * own.uncertainty).astype(np.uint8)[..., None]


def _write_picture(folder: Path, stem: str, own: Restored, classes: int) -> dict[str, str]:
    parts = {
        MASKS: own.maps[..., None], OVERLAYS: overlay_of(own, classes), UNCERTAINTY: levels_of(own)
    }  # fmt: skip
    for name, pixels in parts.items():
        (folder / name / f"{stem}.png").write_bytes(encode(pixels))
    return {name: f"{name}/{stem}.png" for name in parts}


def _write_volume(folder: Path, stem: str, own: Restored, classes: int) -> dict[str, str]:
    for name, values in ((MASKS, own.maps), (UNCERTAINTY, own.uncertainty)):
        write_volume(folder / name / f"{stem}.nii.gz", own, values)
    (folder / OVERLAYS / f"{stem}.png").write_bytes(encode(overlay_of(own, classes)))
    volumes = {name: f"{name}/{stem}.nii.gz" for name in (MASKS, UNCERTAINTY)}
    return {**volumes, OVERLAYS: f"{OVERLAYS}/{stem}.png"}


def write_volume(path: Path, own: Restored, values: np.ndarray) -> None:
    """Writes values on the grid of a volume as NIfTI, with the header of its file if that is one."""
    if own.file is not None and suffix_of(own.file) in SUFFIXES:
        write_nifti_like(path, values, own.file)
    else:
        write_nifti(path, values, affine=own.affine, spacing=own.spacing)
