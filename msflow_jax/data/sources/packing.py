"""Writes a listing of images as ArrayRecord shards; the format is that of ``records.py``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.base import SPLITS, digest
from msflow_jax.data.identity import number_subjects
from msflow_jax.data.oddities import check_copies
from msflow_jax.data.sources.archives import file_sha256
from msflow_jax.data.sources.listing import Listing
from msflow_jax.data.sources.maps import choose
from msflow_jax.data.sources.pack_manifest import FORMAT, MANIFEST, VOLUMES
from msflow_jax.data.sources.packed import Entry, Records, Settings, facts_of
from msflow_jax.data.sources.records import array_record
from msflow_jax.data.sources.shaping import Grids, Shaping
from msflow_jax.data.sources.values import refuse_broken
from msflow_jax.storage.atomic import check_writable, write_atomically
from msflow_jax.storage.jsons import read_object, write_json
from msflow_jax.storage.text import write_csv

_UNFINISHED = "packing.json"


def pack(
    listing: Listing,
    folder: Path,
    settings: Settings,
    progress: Callable[[int], Any] = int,
    *,
    refuse: bool = True,
) -> Path:
    """Packs every image, shard by shard, and goes on where an earlier call was cut off.

    Pictures that need no change are kept as they are, byte for byte; others become PNG, those of more
    than 8 bits by the map of the data set's values, which the manifest names. A volume is a PNG of its
    slices, one below the other. Training images are shuffled
    over the shards. The manifest is written last: a folder with one is complete.

    Args:
        listing: what to pack.
        folder: where to; made when missing.
        settings: see ``Settings``.
        progress: called with the number of images that have been done since the last call.
        refuse: whether equal pictures in two splits are an error.

    Returns:
        Path of the manifest.

    Raises:
        FileExistsError: if the folder holds the shards of other images or settings.
        ValueError: for an unreadable image, images that differ in size or channels, or copies.
        OSError: if a shard cannot be written; those complete are kept.
    """
    if settings.shard_images < 1:
        raise ValueError(f"a shard holds at least 1 image, got {settings.shard_images}")
    check_writable(folder)
    contents = listing.contents()
    _check_copies(listing, contents, refuse=refuse)
    facts = [listing.fingerprint(), digest("".join(contents).encode()), listing.classes]
    what = digest(json.dumps([*facts, settings.facts()]).encode())
    records = _records(listing, settings)
    done = _started(folder, what)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".*.arrayrecord.*.tmp"):  # by a call that was killed
        left.unlink()
    shape = tuple(done["shape"])
    # First of all, so that a call that is cut off at any place goes on when repeated.
    if not (folder / MANIFEST).exists():
        write_atomically(folder / _UNFINISHED, json.dumps(done).encode())
    orders = {split: _order(listing, split, settings.seed) for split in SPLITS}
    for split, first, name in _shards(orders, settings.shard_images):
        index = orders[split][first : first + settings.shard_images]
        if not _complete(folder, done, name):
            shape = _write_shard(folder / name, records, index, shape, progress)
            entry = {"split": split, "records": len(index), **_facts(folder / name)}
            done = {**done, "shape": shape, "shards": {**done["shards"], name: entry}}
            done["spacing"] = records.grids.common() or done.get("spacing", ())
            write_atomically(folder / _UNFINISHED, json.dumps(done).encode())
        else:
            progress(len(index))
    tables = [_write_table(folder, listing, split, orders[split], contents) for split in SPLITS]
    manifest = {
        "format": FORMAT if len(shape) == 3 else VOLUMES,
        "packed": what,
        "name": settings.name,
        "licence": settings.licence,
        "classes": listing.classes,
        "shape": shape,
        "fit": settings.fit,
        **facts_of(records, done.get("spacing", ()), settings),
        "settings": settings.facts(),
        "tables": tables,
        "shards": list(done["shards"].values()),
    }
    write_json(folder / MANIFEST, manifest)
    (folder / _UNFINISHED).unlink(missing_ok=True)
    return folder / MANIFEST


def _records(listing: Listing, settings: Settings) -> Records:
    items = [row.source for row in listing.rows]
    training = np.flatnonzero(listing.splits == "train").tolist()
    intensity, broken = choose(items, training, settings, listing.root)
    refuse_broken(broken.values())
    shaping = Shaping(settings.side, settings.channels, settings.fit, not settings.spacing)
    return Records(items, shaping, intensity, Grids(shaping))


def _started(folder: Path, what: str) -> Entry:
    """Returns the notes of an earlier call on the same images, or fresh ones."""
    for name in (MANIFEST, _UNFINISHED):
        if not (folder / name).is_file():
            continue
        notes = read_object(folder / name, "remove the folder")
        same = notes.get("packed") == what
        shards: Any = notes.get("shards")
        if not same and "packed" in notes and not shards:
            continue  # refused or cut off before the first shard: nothing to keep
        if not same:
            raise FileExistsError(
                f"{folder} holds the shards of other images or settings ({name}): choose another "
                "folder, or remove it"
            )
        by_name = shards if isinstance(shards, dict) else {s["file"]: s for s in shards}
        sizes = {"spacing": notes["spacing"]} if "spacing" in notes else {}
        return {"packed": what, "shape": notes["shape"], "shards": by_name, **sizes}
    there = [p.name for p in folder.glob("*") if not p.name.startswith(".")]
    if others := set(there) - {_UNFINISHED}:
        raise FileExistsError(
            f"{folder} holds other files, such as {min(others)}: choose a new folder"
        )
    return {"packed": what, "shape": (), "shards": {}}


def _order(listing: Listing, split: str, seed: int) -> np.ndarray:
    """Positions in the listing of a split's images, in the order of its records."""
    index = np.flatnonzero(listing.splits == split)
    return np.random.default_rng(seed).permutation(index) if split == "train" else index


def _shards(orders: dict[str, np.ndarray], size: int) -> list[tuple[str, int, str]]:
    """``(split, first position, file name)`` of every shard."""
    out = []
    for split, order in orders.items():
        count = -(-len(order) // size)
        names = [f"{split}-{i:05d}-of-{count:05d}.arrayrecord" for i in range(count)]
        out += [(split, i * size, name) for i, name in enumerate(names)]
    return out


def _complete(folder: Path, done: Entry, name: str) -> bool:
    """Whether a shard of an earlier call is there, unharmed."""
    entry, path = done["shards"].get(name), folder / name
    return bool(entry) and path.is_file() and file_sha256(path) == entry["sha256"]


def _write_shard(
    path: Path,
    records: Records,
    index: np.ndarray,
    shape: tuple[int, ...],
    progress: Callable[[int], Any],
) -> tuple[int, ...]:
    """Writes one shard atomically; returns the images' common shape."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        writer = array_record().ArrayRecordWriter(str(temporary), "group_size:1,uncompressed")
        for i in index:
            image, record = records(int(i), shape)
            shape = image.shape
            writer.write(record)
            progress(1)
        writer.close()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return shape


def _check_copies(listing: Listing, contents: Sequence[str], *, refuse: bool) -> None:
    index = {split: np.flatnonzero(listing.splits == split).tolist() for split in SPLITS}
    check_copies(
        {split: [listing.rows[i].name for i in at] for split, at in index.items()},
        {split: listing.labels[at] for split, at in index.items()},
        {split: [contents[i] for i in at] for split, at in index.items()},
        str(listing.root),
        refuse=refuse,
    )


def _write_table(
    folder: Path, listing: Listing, split: str, order: np.ndarray, contents: Sequence[str]
) -> Entry:
    patients = [row.patient for row in listing.rows]
    subjects = number_subjects(patients) if all(patients) else []
    columns = ("name", "label", "md5", *(("subject",) if subjects else ()))
    rows = [
        dict(zip(columns, (row.name, row.label, contents[i], *subjects[i : i + 1]), strict=True))
        for i, row in ((i, listing.rows[i]) for i in order.tolist())
    ]
    path = write_csv(folder / f"{split}.csv", rows, columns)
    return {"split": split, **_facts(path)}


def _facts(path: Path) -> Entry:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
