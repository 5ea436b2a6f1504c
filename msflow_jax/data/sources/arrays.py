"""Images of an .npz as they are stored there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from msflow_jax.data.base import Info
from msflow_jax.data.sources.decoding import check_pixels
from msflow_jax.data.sources.npz_headers import Layout
from msflow_jax.storage.archives import read_npz

_HINT = "name a split as FILE.npz:test, or fetch the file again"


def key_of(split: str) -> str:
    """The name of the array of images; of no split where ``split`` is empty."""
    return f"{split}_images" if split else "images"


def stored_array(path: Path, split: str, info: Info) -> np.ndarray:
    """The images of an archive as they are stored, ``[N, *space, C]``.

    Raises:
        ValueError: the archive cannot be read, or the array holds no images that a model reads.
    """
    key = key_of(split)
    images = read_npz(path, [key], _HINT)[key]
    shape = check_layout(Layout(images.shape, images.dtype), f"{path}: {key}", info.dims)
    return images.reshape(len(images), *shape)


def check_layout(layout: Layout, place: str, dims: int) -> tuple[int, ...]:
    """The shape ``[*space, C]`` of an image of an array; refuses an array of no such images."""
    space, colours = layout.shape[1 : 1 + dims], layout.shape[1 + dims :] or (1,)
    if layout.dtype.kind not in "uif" or len(space) < dims or colours not in ((1,), (3,)):
        sides = "N" + ", S" * dims
        raise ValueError(
            f"{place} is {layout.dtype} {layout.shape}, expected numbers [{sides}], [{sides}, 1] or "
            f"[{sides}, 3]: the model reads {'pictures' if dims == 2 else 'volumes'}"
        )
    if not all(layout.shape):
        raise ValueError(f"{place} holds no image")
    check_pixels(space[-2] * space[-1], place, f"images of {space[-1]} x {space[-2]}, ")
    return (*space, *colours)
