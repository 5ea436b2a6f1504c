"""Reads what is to be classified: a file, a folder or an .npz to uint8 ``[N, S, S, C]``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from msflow_jax.data.base import Info
from msflow_jax.data.sources.archives import read_npz
from msflow_jax.data.sources.decoding import check_pixels, decode, read_file
from msflow_jax.data.sources.finding import SUFFIXES, find_images, in_words, warn_of_left_out
from msflow_jax.data.sources.fitting import fit_to_model
from msflow_jax.data.sources.npz_headers import Layout, npz_layouts
from msflow_jax.data.sources.values import is_dim, refuse_broken, scale, warn_of_dim
from msflow_jax.progress import track
from msflow_jax.storage.places import expand, split_archive

_ARCHIVE_HINT = "name a split as FILE.npz:test, or fetch the file again"
Read = tuple[np.ndarray, tuple[str, ...], dict[str, str]]


def read_images(
    path: str | Path, info: Info, *, resize: bool = False
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Reads images to be classified by a model that was trained on data with these facts.

    Args:
        path: an image file; a folder (searched at any depth); an .npz with the key ``images``; or
            ``FILE.npz:test`` for its key ``test_images``.
        info: facts of the training data: the side, the channels and the range of values to fit to.
        resize: whether images of another side or channel count are fitted to ``info``'s (by its ``fit``,
            grey repeated or RGB turned grey) or refused.

    Returns:
        uint8 images ``[N, S, S, C]``, and N names: paths relative to the folder, or ``key/index``.

    Raises:
        FileNotFoundError: if there is nothing at ``path``, or no image in the folder.
        ValueError: for unreadable files, or ones of another size, channel count or range of values;
            names all of them, up to 20.
    """
    images, names, broken = read_sound_images(path, info, resize=resize)
    refuse_broken(broken.values())
    return images, names


def read_sound_images(path: str | Path, info: Info, *, resize: bool = False) -> Read:
    """As :func:`read_images`, but what cannot be read is returned instead of raised.

    Returns:
        Images and names of those that can be read, and the error of each other one by its name.

    Raises:
        FileNotFoundError: as :func:`read_images`.
        ValueError: if none can be read, or the archive cannot.
    """
    if archive := split_archive(str(path)):
        return _read_archive(*archive, info, resize)
    path = expand(path)
    if path.is_dir():
        (files, left), root = find_images(path), path
        if not files:
            others = f" ({in_words(left)})" if left else ""
            raise FileNotFoundError(
                f"no image in {path}{others}; read are: {', '.join(sorted(SUFFIXES))}"
            )
        warn_of_left_out(path, left)
    elif path.is_file():
        files, root = [path], path.parent
    else:
        raise FileNotFoundError(f"no image, folder or .npz at {path}")
    names = [file.relative_to(root).as_posix() for file in files]
    return _read_files(files, names, info, resize)


def read_listed(
    files: Sequence[Path], names: Sequence[str], info: Info, *, resize: bool = False
) -> np.ndarray:
    """Reads image files in their order, as :func:`read_images` does."""
    images, _, broken = _read_files(files, names, info, resize)
    refuse_broken(broken.values())
    return images


def _read_files(files: Sequence[Path], names: Sequence[str], info: Info, resize: bool) -> Read:
    pictures = (_reader(file) for file in track(files, "Reading images"))
    return _collect(names, map(str, files), pictures, info, resize)


def _reader(file: Path) -> Callable[[], np.ndarray]:
    return lambda: decode(read_file(file), file)


def _collect(
    names: Iterable[str],
    places: Iterable[str],
    pictures: Iterable[Callable[[], np.ndarray]],
    info: Info,
    change: bool,
) -> Read:
    """Scales and fits pictures; ``places`` are their names in errors."""
    images, sound, broken = [], [], {}
    dim: list[str] = []
    for name, place, read in zip(names, places, pictures, strict=True):
        try:
            picture = read()
            scaled = scale(picture, info.value_range, place)
            images.append(fit_to_model(scaled, place, info, change))
        except ValueError as error:
            broken[name] = str(error)
            continue
        sound.append(name)
        dim += [name] * is_dim(picture, info.value_range)
    if not images:
        refuse_broken(broken.values())
    warn_of_dim(dim, len(images), info.value_range)
    return np.stack(images), tuple(sound), broken


def _read_archive(path: Path, split: str, info: Info, change: bool) -> Read:
    if not path.is_file():
        raise FileNotFoundError(f"no .npz file at {path}")
    key = f"{split}_images" if split else "images"
    place = f"{path}: {key}"
    for layout in npz_layouts(path, [key]).values():
        colours = _check_layout(layout, place)
        if not change:  # what will be refused is not read
            stand_in = np.broadcast_to(np.uint8(0), (*layout.shape[1:3], colours))
            fit_to_model(stand_in, place, info, change)
    images = read_npz(path, [key], _ARCHIVE_HINT)[key]
    colours = _check_layout(Layout(images.shape, images.dtype), place)
    if (images.dtype == np.uint8) == bool(info.value_range):
        scale(images, info.value_range, place)  # refused as a whole
    images = images.reshape(*images.shape[:3], colours)
    names = [f"{split or 'images'}/{i:05d}" for i in range(len(images))]
    places = (f"{place}[{i}]" for i in range(len(images)))
    return _collect(names, places, (_value(image) for image in images), info, change)


def _check_layout(layout: Layout, place: str) -> int:
    """The number of channels of an array of images; refuses any other array."""
    shape = layout.shape
    colours = shape[3] if len(shape) == 4 else 1
    if layout.dtype.kind not in "uif" or len(shape) not in (3, 4) or colours not in (1, 3):
        raise ValueError(
            f"{place} is {layout.dtype} {shape}, expected numbers [N, S, S], [N, S, S, 1] "
            "or [N, S, S, 3]"
        )
    if not all(shape):
        raise ValueError(f"{place} holds no image")
    check_pixels(shape[1] * shape[2], place, f"images of {shape[2]} x {shape[1]}, ")
    return colours


def _value(image: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: image
