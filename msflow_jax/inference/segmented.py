"""What a segmentation leaves for the user: masks, overlays, maps of uncertainty, a table of areas."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.sources.decoding import encode
from msflow_jax.data.sources.finding import stem_of, suffix_of
from msflow_jax.data.sources.nifti import SUFFIXES
from msflow_jax.data.sources.nifti_writing import write_nifti, write_nifti_like
from msflow_jax.data.sources.restoring import Restored, Segmentable
from msflow_jax.progress import track
from msflow_jax.reports.label_colours import label_colours, lay_over
from msflow_jax.reports.planes import three_planes
from msflow_jax.storage.jsons import write_json
from msflow_jax.storage.text import file_stem, write_csv

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
    rows = []
    for i, one in enumerate(track(whole, "Writing masks")):
        own = one.restore(found.maps[one.rows], found.uncertainty[one.rows])
        named = Path(one.name)
        stem = f"{i:05d}_{file_stem(str(named.with_name(stem_of(named))))}"
        write = _write_picture if own.maps.ndim == 2 else _write_volume
        files = write(folder, stem, own, len(classes))
        rows.append({"name": one.name, **_measured(own, classes), **files})
    columns = ["name"] if not rows else []
    write_csv(folder / TABLE, rows, columns)
    colours = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in label_colours(len(classes)).tolist()]
    known = [
        {"number": k, "name": name, "colour": colour}
        for k, (name, colour) in enumerate(zip(classes, colours, strict=True))
    ]
    write_json(
        folder / RECORD, {**record, "uncertainty": MEANING, "classes": known, "images": rows}
    )
    return rows


def _measured(own: Restored, classes: Sequence[str]) -> dict[str, Any]:
    """Pixels of each class, their area or volume where the size of a pixel is known, uncertainty.

    What the model was not shown is in no class's count: it was not found to be background.
    """
    counts = np.bincount(own.maps[~own.unseen].ravel(), minlength=len(classes)).tolist()
    unit, size = f"mm{own.maps.ndim}", float(np.prod(own.spacing)) if own.spacing else None
    row: dict[str, Any] = {}
    for k, (name, count) in enumerate(zip(classes, counts, strict=True)):
        inside = own.uncertainty[(own.maps == k) & ~own.unseen]
        row[f"{name} (pixels)"] = count
        row[f"{name} ({unit})"] = "" if size is None else f"{count * size:.6g}"
        row[f"{name} (uncertainty)"] = f"{inside.mean():.4f}" if inside.size else ""
    return {
        **row,
        "mean_uncertainty": f"{own.uncertainty.mean():.4f}",
        "unseen_share": f"{own.unseen.mean():.4f}",
    }


def _write_picture(folder: Path, stem: str, own: Restored, classes: int) -> dict[str, str]:
    grey = np.rint(255 * own.uncertainty).astype(np.uint8)
    over = lay_over(own.grey[None], own.maps[None], classes)[0]
    parts = {MASKS: own.maps[..., None], OVERLAYS: over, UNCERTAINTY: grey[..., None]}
    for name, pixels in parts.items():
        (folder / name / f"{stem}.png").write_bytes(encode(pixels))
    return {name: f"{name}/{stem}.png" for name in parts}


def _write_volume(folder: Path, stem: str, own: Restored, classes: int) -> dict[str, str]:
    """NIfTI files; as an overlay the three planes through the middle of what is no class 0."""
    for name, values in ((MASKS, own.maps), (UNCERTAINTY, own.uncertainty)):
        path = folder / name / f"{stem}.nii.gz"
        if own.file is not None and suffix_of(own.file) in SUFFIXES:
            write_nifti_like(path, values, own.file)
        else:
            write_nifti(path, values, affine=own.affine, spacing=own.spacing)
    there = np.argwhere(own.maps > 0)
    at = np.median(there, axis=0).astype(int) if len(there) else None
    over = lay_over(own.grey[None], own.maps[None], classes)[0]
    planes = three_planes(over, at, own.spacing)
    (folder / OVERLAYS / f"{stem}.png").write_bytes(encode(planes))
    volumes = {name: f"{name}/{stem}.nii.gz" for name in (MASKS, UNCERTAINTY)}
    return {**volumes, OVERLAYS: f"{OVERLAYS}/{stem}.png"}
