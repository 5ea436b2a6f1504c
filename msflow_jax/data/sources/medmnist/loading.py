"""The MedMNIST v2 sets, from the authors' .npz files (Yang et al., Scientific Data 2023).

Volumes are ``[D, H, W, 1]`` as stored. Which way their axes lie in the patient is not documented, nor
is the size of a voxel of most sets: nothing is said of either, and ``Info.spacing`` stays empty.
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import SPLITS, Info, Split, Splits
from msflow_jax.data.sources.download import download
from msflow_jax.data.sources.fitting import convert_channels
from msflow_jax.data.sources.medmnist.own import (
    look_over,
    tell_borrowed,
    tell_md5,
    with_classes,
)
from msflow_jax.data.sources.medmnist.table import (
    FLIPS,
    TABLE,
    Entry,
    file_name,
    of_finding,
    stored_side,
    url,
)
from msflow_jax.data.sources.npz_headers import Layout, npz_layouts
from msflow_jax.data.sources.volumes.fitting import bring_volume
from msflow_jax.storage.archives import file_md5, read_npz
from msflow_jax.storage.places import expand, home

REMEDY = "delete the file and fetch it again"
OWN_REMEDY = "correct the file, which is not the published one"


def load(config: ConfigDict) -> Splits:
    """Loads a MedMNIST set in its published splits.

    Args:
        config: the data config; ``name`` is the set (``chestmnist:FINDING`` one of its findings),
            ``side`` 0 means 28, ``channels`` 0 as stored. Volumes may have a side of which a published
            one is a multiple: they are averaged. ``map_classes`` names the classes of an own file.

    Raises:
        FileNotFoundError: if no file is found and ``download`` is False, or the download fails.
        ValueError: for a multi-label set without a finding, a side that was not published, a damaged
            file or one with other contents than the set's.
    """
    name, _, finding = config.name.partition(":")
    entry, column = of_finding(name, finding)
    side = config.side or entry.stored[0]
    stored = stored_side(name, entry, side)
    path = find(name, stored, config.root, fetch=config.download)
    published = entry.md5[entry.stored.index(stored)]
    # Another name or another demanded MD5: the user's own file, which nobody should delete.
    own = path.name != file_name(name, stored) or config.md5 not in ("", published)
    remedy = OWN_REMEDY if own else REMEDY
    md5 = file_md5(path)
    tell_md5(path, md5, published, config.md5, entry.older)
    unpublished = md5 not in (published, *entry.older)
    keys = [f"{split}_{kind}" for split in SPLITS for kind in ("images", "labels")]
    other_remedy = (
        OWN_REMEDY if own else "fetch the published file again, or correct it if it is your own"
    )
    for key, layout in npz_layouts(path, keys).items():  # what will be refused is not read
        if key.endswith("_images"):
            _check_images(path, key, layout, entry, stored, other_remedy)
    arrays = read_npz(path, keys, remedy)
    remedy, named, flips = other_remedy, config.map_classes, FLIPS.get(name, ())
    entry, flips = with_classes(entry, flips, named, path, own=unpublished)
    if unpublished and not named and md5 != config.md5:
        tell_borrowed(path, entry.classes, flips, finding)
    if column is not None:
        for key in keys[1::2]:
            arrays[key] = _of_column(path, key, arrays[key], name, column)
    train, val, test = (
        _split(path, split, arrays, entry, stored, config.channels, remedy) for split in SPLITS
    )
    if unpublished:
        look_over(train, path, named)
    source = str(path)
    if side != stored:
        source = f"{path}, {stored} voxels a side averaged to {side}"
        warnings.warn(
            f"{source}: not the authors' file of that side, which results beside theirs must say",
            stacklevel=2,
        )
        train, val, test = (_averaged(part, side) for part in (train, val, test))
    info = Info(
        name=config.name,
        classes=entry.classes,
        channels=train.images.shape[-1],
        side=side,
        space=(side,) * 3 if entry.dims == 3 else (),
        task=entry.task,
        licence=entry.licence,
        md5=md5,
        source=source,
        flips=flips,
        fit=config.fit,
    )
    return Splits(train, val, test, info)


def _of_column(path: Path, key: str, labels: np.ndarray, name: str, column: int) -> np.ndarray:
    """The labels ``[N]`` of one finding, from those of all.

    Raises:
        ValueError: there is not a column for each of the set's findings.
    """
    if labels.ndim != 2 or labels.shape[1] != (count := len(TABLE[name].classes)):
        raise ValueError(
            f"{path}: {key} is {labels.dtype} {labels.shape}, expected a column for each of the "
            f"{count} findings of {name}"
        )
    return labels[:, column]


def _averaged(split: Split, side: int) -> Split:
    """The split with every cube of voxels that becomes one averaged and rounded."""
    small = np.stack([bring_volume(image, (side,) * 3, "stretch") for image in split.images])
    return dataclasses.replace(split, arrays={**split.arrays, "image": small})


def find(flag: str, side: int, root: str, fetch: bool) -> Path:
    """Returns the set's file: from ``root``, else ``~/.medmnist``, else, if allowed, downloaded.

    Without a home folder the current one stands for it.
    ``root`` is the file, or a folder with the published name or else exactly one ``<flag>*.npz`` in it.
    Where such a folder has none, a line says what is read instead.

    Raises:
        FileNotFoundError: if it is nowhere, or ``root`` is not there; names every place looked at.
    """
    name = file_name(flag, side)
    own = home()
    default = own / ".medmnist" / name if own else None
    given = expand(root)
    is_file = given.suffix == ".npz" and not given.is_dir()
    target = given if is_file else given / name if root or default is None else default
    looked = [str(target)]
    if target.is_file():
        return target
    if root and not is_file:
        others = _other_files(given, flag)
        if len(others) == 1:
            return others[0]
        found = ", ".join(p.name for p in others) or "none"
        looked.append(f"{given / flag}*.npz (exactly one is taken; found: {found})")
    if default and default != target:
        looked.append(str(default))
        if default.is_file():
            if root:
                _say_default(given, default, absent=is_file or not given.exists(), fetch=fetch)
            return default
    if fetch:
        return download(url(flag, side), target, TABLE[flag].md5[TABLE[flag].stored.index(side)])
    raise FileNotFoundError(
        f"no file for {flag} at side {side}. Looked at: {'; '.join(looked)}. Give the file or its "
        f"folder with --config.data.root=..., or --config.data.download=True to fetch "
        f"{url(flag, side)}"
    )


def _say_default(given: Path, default: Path, *, absent: bool, fetch: bool) -> None:
    """Says that ``data.root`` is not what is read; refuses one that is not there.

    With ``fetch`` the published file is wanted, wherever it lies, and a line is enough.
    """
    if absent and not fetch:
        raise FileNotFoundError(
            f"nothing at {given} (--config.data.root): correct it, or leave it empty to read {default}"
        )
    warnings.warn(
        f"--config.data.root: no file of the set at {given}; read is {default}: correct the root, or "
        "leave it empty",
        stacklevel=4,
    )


def _other_files(folder: Path, flag: str) -> list[Path]:
    """Lists ``<flag>*.npz`` in the folder, without the published names, which say another side."""
    published = {file_name(flag, side) for side in TABLE[flag].stored}
    return sorted(p for p in folder.glob(f"{flag}*.npz") if p.name not in published)


def _check_images(
    path: Path, key: str, found: Layout, entry: Entry, side: int, remedy: str
) -> None:
    shape = found.shape
    space = (side,) * entry.dims
    if entry.channels == 1 and len(shape) == entry.dims + 2 and shape[-1] == 1:
        shape = shape[:-1]
    expected = space if entry.channels == 1 else (*space, entry.channels)
    if found.dtype != np.uint8 or len(shape) <= entry.dims or shape[1:] != expected:
        raise ValueError(
            f"{path}: {key} is {found.dtype} {found.shape}, expected uint8 "
            f"(N, {', '.join(map(str, expected))}); {remedy}, or set --config.data.side to its side"
        )


def _split(
    path: Path,
    split: str,
    arrays: dict[str, np.ndarray],
    entry: Entry,
    side: int,
    channels: int,
    remedy: str,
) -> Split:
    """Checks one split's arrays against the table; returns them as ``[N, *space, C]`` and ``[N]``.

    Grey images may also be ``[N, *space, 1]``, and labels of any integer type.
    """
    images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
    found = Layout(images.shape, images.dtype)
    _check_images(path, f"{split}_images", found, entry, side, remedy)
    if entry.channels == 1:
        images = images.reshape(*images.shape[: entry.dims + 1])
    if not len(images):
        raise ValueError(f"{path}: {split}_images holds no image; {remedy}")
    if labels.dtype.kind not in "iu" or labels.shape not in ((len(images),), (len(images), 1)):
        raise ValueError(
            f"{path}: {split}_labels is {labels.dtype} {labels.shape}, expected integers "
            f"({len(images)}, 1) for {len(images)} images; {remedy}"
        )
    labels = labels.reshape(-1)
    wrong = (labels < 0) | (labels >= len(entry.classes))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(
            f"{path}: {split}_labels[{at}] is {labels[at]}, but the set has the "
            f"{len(entry.classes)} classes 0 to {len(entry.classes) - 1}; {remedy}"
        )
    if entry.channels == 1:
        images = images[..., None]
    return Split.of_images(
        images=convert_channels(images, channels),
        labels=labels.astype(np.int32),
        names=tuple(f"{split}/{i:05d}" for i in range(len(images))),
    )
