"""What a segmentation answers: masks, overlays and uncertainty, as ``msflow segment`` writes them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.data.slices import Slices
from msflow_jax.data.sources.decoding import encode
from msflow_jax.data.sources.finding import stem_of
from msflow_jax.data.sources.restored import Restored
from msflow_jax.data.sources.restoring import Segmentable, read_segmentable
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.images import choose_format, unsized
from msflow_jax.inference.segmented import (
    colours_of,
    flattened,
    levels_of,
    mean_uncertainty,
    overlay_of,
    regions,
    unit_of,
    write_volume,
)
from msflow_jax.serving.answers import Answer, Asked, padded, refuse_long
from msflow_jax.serving.parameters import seed_of
from msflow_jax.serving.pictures import address_of, addresses
from msflow_jax.serving.uploads import as_needed, lying, refuse_many

MOST_PIXELS = 1 << 26  # of the picture or volume that is sent: 256 slices of 512 x 512


def segment(flow: Flow, asked: Asked) -> Answer:
    """Of each picture or volume the class of every pixel on its own grid, and how uncertain that is."""
    given = dict(asked.given)
    name, resize, seed = given.pop("name"), given.pop("resize"), given.pop("seed")
    slices = Slices.of(flow.config.data.slices)
    with lying(asked.content, name) as path:  # which is read again for its grid

        def read(resized: bool) -> Any:
            return read_segmentable(str(path), flow.info, slices, resize=resized)

        (images, parts), lines = as_needed(read, resize, path.parent)
        refuse_many(len(images), name)
        refuse_long(len(images), given["draws"], given["steps"])
        refuse_large([one.space for one in parts if one.space], name)
        if flow.info.dims == 3 or len(parts) < len(images):
            choose_format("nifti", 3)  # before the work: whether it can be written
        found = flow.segment_uncertainly(padded(images), seed=seed_of(seed), **given)
        rows = [
            _row(one, one.restore(found.maps[one.rows], found.uncertainty[one.rows]), flow, path)
            for one in parts
        ]
    sizeless = [
        one["name"] for one in rows if one["unit"] == "mm3" and one["classes"][0]["size"] is None
    ]
    if line := unsized(sizeless, len(rows), "size is null"):
        lines = [*lines, line]
    return {"images": rows, "step": flow.step, "warnings": lines}


def _row(one: Segmentable, own: Restored, flow: Flow, path: Path) -> Answer:
    refuse_large([own.maps.shape], one.name)
    count, uncertainty = len(flow.classes), flattened(own, levels_of(own))
    if own.maps.ndim == 2:
        ending, mask = ".png", address_of(encode(own.maps[..., None]))
    else:
        ending, kept = ".nii.gz", path.with_name(f"{path.name}.nii.gz")  # never the file
        write_volume(kept, own, own.maps)
        mask = address_of(kept.read_bytes(), "application/gzip")
    known = zip(flow.classes, colours_of(flow.classes), regions(own, count), strict=True)
    return {
        "name": one.name, "picture": addresses(flattened(own, own.grey)[None])[0],
        "overlay": address_of(encode(overlay_of(own, count))),
        "uncertainty": address_of(encode(uncertainty)),
        "mask": mask, "mask_name": f"{stem_of(Path(one.name))}_mask{ending}",
        "classes": [{"name": name, "colour": colour, **of} for name, colour, of in known],
        "unit": unit_of(own), "mean_uncertainty": mean_uncertainty(own),
        "unseen_share": float(own.unseen.mean()),
    }  # fmt: skip


def refuse_large(spaces: Sequence[Sequence[int]], name: str) -> None:
    """Raises a ValueError for grids whose masks would fill the memory.

    Args:
        spaces: pixels or voxels along the axes of each.
        name: of the file.
    """
    if (size := sum(math.prod(space) for space in spaces)) > MOST_PIXELS:
        raise ValueError(
            f"{name} has {size} pixels, and one request may have {MOST_PIXELS}: use the command of the "
            "same name"
        )
