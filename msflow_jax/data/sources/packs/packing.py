"""Writes a listing of images as ArrayRecord shards; the format is that of ``records.py``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.base import SPLITS, digest
from msflow_jax.data.identity import number_subjects
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.oddities import check_copies
from msflow_jax.data.sources.grey.choice import choose, spread
from msflow_jax.data.sources.grey.values import refuse_broken
from msflow_jax.data.sources.grey.written import Meaning, meaning
from msflow_jax.data.sources.items import facts_of as facts_of_items
from msflow_jax.data.sources.listings.folders import Listing
from msflow_jax.data.sources.listings.looked import Looked
from msflow_jax.data.sources.packs.manifest import FORMAT, MANIFEST, VOLUMES
from msflow_jax.data.sources.packs.packed import Entry, Records, Settings, facts_of, volumes_of
from msflow_jax.data.sources.packs.shards import Shard, contents, leave_note, note_of, write_shards
from msflow_jax.data.sources.reading import Reader
from msflow_jax.data.sources.shaping import Grids, Shaping
from msflow_jax.progress import track
from msflow_jax.storage.archives import file_sha256
from msflow_jax.storage.atomic import check_writable, tell_made, write_atomically
from msflow_jax.storage.jobs import HERE, Engine
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
    engine: Engine = HERE,
) -> Path:
    """Packs every image, shard by shard, and goes on where an earlier call was cut off.

    Pictures that need no change are kept as they are, byte for byte; others become PNG, those of more
    than 8 bits by the map of the data set's values, which the manifest names. A volume is a PNG of its
    slices, one below the other. Training images are shuffled over the shards. The manifest is written
    last: a folder with one is complete.

    Args:
        listing: what to pack.
        folder: where to; made when missing.
        settings: see ``Settings``.
        progress: called with the number of images that have been done since the last call.
        refuse: whether equal pictures in two splits are an error.
        engine: what reads the files and writes the shards; the result is the same byte for byte.

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
    tell_made(folder.parent)
    items = [row.source for row in listing.rows]
    sums = contents(items, engine, int)
    _check_copies(listing, sums, refuse=refuse)
    facts = [listing.fingerprint(), digest("".join(sums).encode()), listing.classes]
    what = digest(json.dumps([*facts, settings.facts()]).encode())
    records = _records(listing, settings)
    _begin(folder, what)
    orders = {split: _order(listing, split, settings.seed) for split in SPLITS}
    size = settings.shard_images
    shards = [
        Shard(folder / name, split, tuple(items[i] for i in orders[split][first : first + size]))
        for split, first, name in _shards(orders, size)
    ]
    shape = records.of(shards[0].items)(0, ())[0].shape  # that of the first rules
    noted = write_shards(shards, records, shape, engine, progress)
    for note in noted:
        records.grids.join(note["voxels"])
    tables = [_write_table(folder, listing, split, orders[split], sums) for split in SPLITS]
    manifest = {
        "format": VOLUMES if facts_of(records, (), settings).keys() - {"value_range"} else FORMAT,
        "packed": what,
        "name": settings.name,
        "licence": settings.licence,
        "classes": listing.classes,
        "shape": shape,
        "fit": records.meaning.fit,
        **facts_of(records, records.grids.common(), settings),
        "settings": settings.facts(),
        "tables": tables,
        "shards": [note["entry"] for note in noted],
    }
    write_json(folder / MANIFEST, manifest)
    for left in (folder / _UNFINISHED, *(note_of(shard.path) for shard in shards)):
        left.unlink(missing_ok=True)
    return folder / MANIFEST


def _records(listing: Listing, settings: Settings) -> Records:
    items = [row.source for row in listing.rows]
    training = np.flatnonzero(listing.splits == "train").tolist()
    intensity, broken = choose(items, training, settings, listing.root)
    refuse_broken(broken.values())
    shaping = Shaping(settings.side, settings.channels, settings.fit, not settings.spacing)
    _look_over(listing, shaping, intensity)
    read_by = Meaning(intensity, volumes_of(items, settings), settings.fit)
    stands_for = meaning(listing.root, read_by)
    return Records(items, shaping, intensity, stands_for, Grids(shaping))


def _look_over(listing: Listing, shaping: Shaping, intensity: Intensity) -> None:
    """The lines on grey levels, notes and sizes, of some images evenly spread over all.

    Before any is written, and not while they are: the shards of a pack are written by many processes, or
    were by a call of before.
    """
    looked, read = Looked(shaping), Reader()
    fitted = intensity.kind == "percentiles"
    for i in track(spread(range(len(listing.rows))), "Looking at images"):
        row = listing.rows[i]
        try:
            picture = read(row.source)
        except ValueError:
            continue  # it is named when it is packed
        looked.look(picture, row, shades=str(listing.splits[i]) != "train" or not fitted)
    looked.warn(intensity, listing.root)


def _begin(folder: Path, what: str) -> None:
    """Notes what is packed, so that a call that is cut off at any place goes on when repeated.

    Raises:
        FileExistsError: the folder holds another pack, or other files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".*.arrayrecord.*.tmp"):  # by a call that was killed
        left.unlink()
    names = [name for name in (MANIFEST, _UNFINISHED) if (folder / name).is_file()]
    notes = {name: read_object(folder / name, "remove the folder") for name in names}
    shards = any(folder.glob("*.arrayrecord"))
    for name, noted in notes.items():
        if noted.get("packed") != what and (shards or name == MANIFEST):
            raise FileExistsError(
                f"{folder} holds the shards of other images or settings ({name}): choose another "
                "folder, or remove it"
            )
    others = [p.name for p in folder.glob("*") if not p.name.startswith(".")]
    if others and not notes:
        raise FileExistsError(
            f"{folder} holds other files, such as {min(others)}: choose a new folder"
        )
    if whole := notes.get(MANIFEST):  # a shard that was damaged since is written again
        voxels = [[whole["spacing"], ""]] if "spacing" in whole else []
        for entry in whole["shards"]:
            leave_note(folder / entry["file"], entry, voxels)
    else:
        write_atomically(folder / _UNFINISHED, json.dumps({"packed": what}).encode())


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
    facts: dict[str, Sequence[Any]] = {
        "name": [row.name for row in listing.rows],
        "label": [row.label for row in listing.rows],
        "md5": contents,
    }
    patients = [row.patient for row in listing.rows]
    if all(patients):
        facts["subject"] = number_subjects(patients)
    # Which slice of which volume.
    facts |= {k: v.tolist() for k, v in facts_of_items([r.source for r in listing.rows]).items()}
    rows = [{name: column[i] for name, column in facts.items()} for i in order.tolist()]
    path = write_csv(folder / f"{split}.csv", rows, list(facts))
    return {"split": split, **_facts(path)}


def _facts(path: Path) -> Entry:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
