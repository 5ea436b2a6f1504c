"""The shards of a pack: each a part of a job that any process of any machine may do."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msflow_jax.data.sources.items import Contents, Item
from msflow_jax.data.sources.packs.packed import Entry, Records
from msflow_jax.data.sources.packs.records import array_record
from msflow_jax.storage.archives import file_md5, file_sha256
from msflow_jax.storage.atomic import write_atomically
from msflow_jax.storage.jobs import Engine, run_parts
from msflow_jax.storage.jsons import read_object

_CHUNK = 1024  # files whose MD5 is one part of the job


class Shard(NamedTuple):
    """One shard before it is written: its file, its split, and what goes into it in order."""

    path: Path
    split: str
    items: tuple[Item, ...]


def write_shards(
    shards: Sequence[Shard],
    records: Records,
    shape: tuple[int, ...],
    engine: Engine,
    progress: Callable[[int], Any],
) -> list[Entry]:
    """Writes the shards that are not there yet; returns what the manifest says of each.

    A shard depends on its images and the settings alone: whatever writes it, it is the same byte for
    byte. What it is lies beside it until the pack is complete, so that a job that is cut off goes on.

    Args:
        shards: all shards.
        records: makes the records; its ``items`` are not looked at.
        shape: common shape of the images.
        engine: what does the work.
        progress: called with the number of images that have been done since the last call.
    """
    found = {shard.path: _written(shard.path) for shard in shards}
    missing = [shard for shard in shards if found[shard.path] is None]
    for shard in shards:
        if shard not in missing:
            progress(len(shard.items))
    alone = engine.name == "processes" and engine.workers < 2
    write = functools.partial(
        write_shard, records=dataclasses.replace(records, items=()), shape=shape,
        progress=progress if alone else None,
    )  # fmt: skip
    counts = iter([0 if alone else len(shard.items) for shard in missing])

    def done(parts: int) -> None:
        progress(sum(next(counts) for _ in range(parts)))

    entries = run_parts(write, missing, engine, done)
    found.update({shard.path: entry for shard, entry in zip(missing, entries, strict=True)})
    return [found[shard.path] or {} for shard in shards]


def write_shard(
    shard: Shard,
    records: Records,
    shape: tuple[int, ...],
    progress: Callable[[int], Any] | None = None,
) -> Entry:
    """Writes one shard atomically, and what it is beside it."""
    records = records.of(shard.items)
    path = shard.path
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        writer = array_record().ArrayRecordWriter(str(temporary), "group_size:1,uncompressed")
        for i in range(len(shard.items)):
            writer.write(records(i, shape)[1])
            if progress:
                progress(1)
        writer.close()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    entry = {
        "split": shard.split, "records": len(shard.items), "file": path.name,
        "bytes": path.stat().st_size, "sha256": file_sha256(path),
    }  # fmt: skip
    return leave_note(path, entry, records.grids.seen())


def leave_note(path: Path, entry: Entry, voxels: Sequence[Any]) -> Entry:
    """Writes beside a shard what it is: its entry in the manifest, and the sizes of its voxels."""
    noted = {"entry": entry, "voxels": list(voxels)}
    write_atomically(note_of(path), json.dumps(noted).encode())
    return noted


def note_of(path: Path) -> Path:
    """Where it stands what a shard is, until the manifest says it."""
    return path.with_name(f".{path.name}.json")


def _written(path: Path) -> Entry | None:
    """What an earlier call wrote of a shard, if it is there, unharmed."""
    try:
        noted = read_object(note_of(path))
        same = file_sha256(path) == noted["entry"]["sha256"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return noted if same else None


def contents(
    items: Iterable[Item], engine: Engine, progress: Callable[[int], Any]
) -> tuple[str, ...]:
    """The MD5 of what each item holds, in their order; every file is read once.

    Args:
        items: the examples.
        engine: what does the work.
        progress: called with the number of files that were read since the last call.
    """
    items = list(items)
    paths = list(dict.fromkeys(path for item in items for path in item.paths))
    chunks = [paths[i : i + _CHUNK] for i in range(0, len(paths), _CHUNK)]
    sizes = iter([len(chunk) for chunk in chunks])
    sums = run_parts(
        _sums, chunks, engine, lambda parts: progress(sum(next(sizes) for _ in range(parts)))
    )
    content = Contents(dict(zip(paths, (one for part in sums for one in part), strict=True)))
    return tuple(content(item) for item in items)


def _sums(paths: Sequence[Path]) -> list[str]:
    return [file_md5(path) for path in paths]
