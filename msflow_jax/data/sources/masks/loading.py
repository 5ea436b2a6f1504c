"""Images with masks: a folder ``images/`` and one ``masks/``, matched by the names of their files."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import SPLITS, Split, Splits, digest
from msflow_jax.data.padding import as_facts as filled_facts
from msflow_jax.data.padding import filled_of
from msflow_jax.data.pixel_sizes import as_facts, as_unsized
from msflow_jax.data.sources.finding import find_images, stem_of, warn_of_left_out
from msflow_jax.data.sources.grey.values import refuse_broken
from msflow_jax.data.sources.items import Item
from msflow_jax.data.sources.listings.folders import (
    Listing,
    Row,
    cut_rows,
    given_splits,
    root_of,
)
from msflow_jax.data.sources.listings.label_checks import check_classes
from msflow_jax.data.sources.listings.loading import load_listing
from msflow_jax.data.sources.listings.subjects import examples_of, keep_together
from msflow_jax.data.sources.masks.checks import check_present, warn_of_lost, warn_of_strangers
from msflow_jax.data.sources.masks.fitting import MaskReader, fit_mask, pixel_size
from msflow_jax.data.sources.masks.names import Seen, choose_names
from msflow_jax.data.sources.masks.reading import check_fits
from msflow_jax.data.sources.shaping import Shaping
from msflow_jax.progress import track
from msflow_jax.storage.content import printable

IMAGES, MASKS = "images", "masks"
LAYOUT = (
    "expected images/ and masks/ with files of equal names (scan.png and scan.png, a.nii.gz and "
    "a.nii.gz), or train/, test/ and maybe val/ with both in each"
)


def load_masks(config: ConfigDict) -> Splits:
    """Loads images with masks: a class for each pixel.

    The class of an image, by which splits are cut, is the rarest one that its mask has. Slices of
    one volume are one subject.

    Raises:
        FileNotFoundError: no such folder, or another layout.
        ValueError: an image without a mask or the other way round, a mask that does not fit its image,
            values that are no classes (see ``names``); names the file.
    """
    if config.loader != "device":
        raise ValueError(
            f"data.loader={config.loader}: masks are read into memory, use data.loader=device"
        )
    root = root_of(config)
    rows, masks = _pairs(root)
    rows = examples_of(rows, config, root)
    keep_together(rows, root)
    warn_of_strangers(rows, root)
    _check(rows, masks)
    seen, maps, facts = _read(rows, masks, Shaping.of(config), config)
    names, table = choose_names(config.map_classes, root, seen)
    maps = table[maps]
    has = np.zeros((len(seen), len(names)), bool)
    for row, one in zip(has, seen, strict=True):
        row[table[list(one.values)]] = True
    labels = _rarest(has)
    rows = [dataclasses.replace(row, label=names[k]) for row, k in zip(rows, labels, strict=True)]
    splits = cut_rows(rows, labels.tolist(), config.seed, root)
    check_classes(rows, splits, root)
    check_present(has, splits, names, root)
    warn_of_lost(has, maps, names, root)
    listing = Listing(tuple(rows), names, labels, splits, root)
    return _with_maps(load_listing(listing, config, classes=False), listing, maps, facts)


def _pairs(root: Path) -> tuple[list[Row], dict[Path, Path]]:
    """All images, and the mask of each; every one that lacks the other is named."""
    if not root.is_dir():
        raise FileNotFoundError(f"no folder at {root} (--config.data.root); {LAYOUT}")
    given = given_splits(root)
    if given and not {"train", "test"} <= set(given):
        raise FileNotFoundError(
            f"{root} has {', '.join(given)} but not both train and test; {LAYOUT}"
        )
    rows: list[Row] = []
    masks: dict[Path, Path] = {}
    broken: list[str] = []
    for split, base in (given or {"": root}).items():
        for name in (IMAGES, MASKS):
            if not (base / name).is_dir():
                raise FileNotFoundError(f"{base} has no folder {name}; {LAYOUT}")
        images, drawn = (_by_name(base / name) for name in (IMAGES, MASKS))
        broken += [
            f"{images[n]} has no mask {base / MASKS / n}.*: draw one (all 0 where there is nothing), "
            "or leave the image out"
            for n in sorted(images.keys() - drawn.keys())
        ]
        broken += [
            f"{drawn[n]} has no image {base / IMAGES / n}.*: give both one name"
            for n in sorted(drawn.keys() - images.keys())
        ]
        for name, path in images.items():
            rows.append(Row(path, printable(path.relative_to(root).as_posix()), "", "", split))
            masks[path] = drawn.get(name, path)
    refuse_broken(broken)
    if not rows:
        raise FileNotFoundError(f"no images in {root}; {LAYOUT}")
    return rows, masks


def _by_name(folder: Path) -> dict[str, Path]:
    """Files by their path in the folder, without suffix."""
    files, left = find_images(folder)
    warn_of_left_out(folder, left)
    found: dict[str, Path] = {}
    for path in files:
        name = path.relative_to(folder).with_name(stem_of(path)).as_posix()
        if name in found:
            raise ValueError(f"{found[name]} and {path} have one name: which is it? Rename one")
        found[name] = path
    return found


def _check(rows: Sequence[Row], masks: dict[Path, Path]) -> None:
    """Refuses masks that do not fit their images, all of them at once."""
    kinds = {row.path: row.source.kind for row in rows}
    broken = []
    for path, kind in kinds.items():
        try:
            check_fits(path, masks[path], kind)
        except ValueError as error:
            broken.append(str(error))
    refuse_broken(broken)


def _read(
    rows: Sequence[Row], masks: dict[Path, Path], shaping: Shaping, config: ConfigDict
) -> tuple[list[Seen], np.ndarray, dict[str, np.ndarray]]:
    """The values of each mask, its map at the model's side, and facts on where and how large it is."""
    seen, maps, sizes = list[Seen](), list[np.ndarray](), list[tuple[float, ...]]()
    filled, grids = list[tuple[int, ...]](), dict[tuple[tuple[float, ...], ...], tuple[int, ...]]()
    broken: dict[Path, str] = {}
    reader = MaskReader()
    for row in track(rows, "Reading masks"):
        path = masks[row.path]
        if path in broken:
            continue
        try:
            item: Item = row.source
            mask = reader(dataclasses.replace(item, paths=(path,)))
            fitted = fit_mask(mask.values, mask.spacing, shaping, config.dims)
        except ValueError as error:
            broken[path] = str(error)
            continue
        if maps and fitted.shape != maps[0].shape:
            broken[path] = (
                f"{path} is {' x '.join(map(str, fitted.shape))}, those before it "
                f"{' x '.join(map(str, maps[0].shape))}: --config.data.side=64 brings all to one size"
            )
            continue
        seen.append(Seen(path, tuple(np.unique(mask.values).tolist())))
        maps.append(fitted)
        sizes.append(pixel_size(mask.values.shape, mask.spacing, fitted.shape, shaping))
        if (grid := (mask.values.shape, mask.spacing)) not in grids:
            whole = np.ones_like(mask.values)  # fitted alike, it is 0 where a map is padded
            grids[grid] = filled_of(fit_mask(whole, mask.spacing, shaping, config.dims) > 0)
        filled.append(grids[grid])
    refuse_broken(broken.values())
    if reader.palettes:
        warnings.warn(
            f"{reader.palettes[0]} and {len(reader.palettes) - 1} more masks have palettes of colours: "
            "the numbers of their entries are taken as classes",
            stacklevel=4,
        )
    if any(sizes) and not all(sizes):
        first = next(one.path for one, size in zip(seen, sizes, strict=True) if not size)
        warnings.warn(
            f"{first} does not say how large its pixels are: distances of all are in pixels",
            stacklevel=4,
        )
    whole_grid = all(one == maps[0].shape for one in filled)
    facts = {} if whole_grid else filled_facts(np.array(filled))
    return seen, np.stack(maps), facts | _size_facts(sizes)


def _size_facts(sizes: Sequence[tuple[float, ...]]) -> dict[str, np.ndarray]:
    """Facts on the mm of pixels; where some are not known which, where none are nothing."""
    if all(sizes):
        return as_facts(np.array(sizes))
    return as_unsized(np.array([not one for one in sizes])) if any(sizes) else {}


def _rarest(has: np.ndarray) -> np.ndarray:
    """The class of each image that fewest images have, int32 ``[N]``, by which has which ``[N, K]``."""
    count = np.where(has, has.sum(axis=0, keepdims=True), len(has) + 1)
    # Of two that are equally rare the later one: 0 is the background by habit.
    return (has.shape[1] - 1 - count[:, ::-1].argmin(axis=1)).astype(np.int32)


def _with_maps(
    splits: Splits, listing: Listing, maps: np.ndarray, facts: Mapping[str, np.ndarray]
) -> Splits:
    """The splits of a listing with their maps, and the facts on these ``[N]``."""
    parts = {}
    for name in SPLITS:
        index, part = np.flatnonzero(listing.splits == name), splits[name]
        assert isinstance(part, Split)
        truth = {**(part.truth or {}), **{key: values[index] for key, values in facts.items()}}
        arrays = {**part.arrays, "map": maps[index]}
        parts[name] = dataclasses.replace(part, arrays=arrays, truth=truth or None)
    lines = sorted(
        f"{row.name}\t{digest(np.ascontiguousarray(one).tobytes())}"
        for row, one in zip(listing.rows, maps, strict=True)
    )
    identity = {**splits.info.identity, "masks": digest("\n".join(lines).encode())}
    info = dataclasses.replace(
        splits.info, map_classes=listing.classes, modalities={}, identity=identity
    )
    return dataclasses.replace(splits, **parts, info=info)  # type: ignore[arg-type]
