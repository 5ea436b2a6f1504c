"""Phantoms kept on disk, since making them takes longer than reading: a file per set of settings."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from msflow_jax.progress import track
from msflow_jax.storage.archives import read_npz
from msflow_jax.storage.atomic import replacing
from msflow_jax.storage.jsons import digest_of
from msflow_jax.storage.machine import count_cores
from msflow_jax.storage.places import expand, user_cache

Arrays = dict[str, np.ndarray]  # of all examples ``[N, ...]`` by name; text has a dtype of its own
TRUTH = "truth."  # before the names of facts
VERSION = 1  # another one wherever a setting's voxels change
PLACE = "MSFLOW_JAX_PHANTOMS"  # variable of the environment: another folder, or ``off``
LIMIT = 4 << 30  # bytes kept; what was not read for longest goes first
_SUM = "sha256"  # array in the file, of all others


def joined(parts: Iterable[Arrays]) -> Arrays:
    """The arrays of all examples, of those of some each."""
    found = list(parts)
    return {key: np.concatenate([part.pop(key) for part in found]) for key in list(found[0])}


def make_all(make: Callable[[int], Arrays], count: int, what: str, weight: int) -> Arrays:
    """What ``make`` gives for 0 to ``count`` - 1, joined in this order; by a thread for each core.

    Args:
        make: arrays of one number, which depend on nothing else.
        count: how many.
        what: words before the bar.
        weight: steps of the bar that one stands for.
    """
    pool = ThreadPoolExecutor(count_cores())
    try:
        waiting = [pool.submit(make, number) for number in range(count)]
        return joined(one.result() for one in track(waiting, what, weight))
    finally:  # after Ctrl-C nothing more is begun
        pool.shutdown(cancel_futures=True)


def truth_of(arrays: Mapping[str, np.ndarray]) -> Arrays:
    """Those called ``truth.NAME``, by NAME: what is true of each example, and no image."""
    return {k.removeprefix(TRUTH): a for k, a in arrays.items() if k.startswith(TRUTH)}


def folder() -> Path | None:
    """Where phantoms are kept; None where the environment says ``off``."""
    place = os.environ.get(PLACE, "")
    if place.lower() == "off":
        return None
    return expand(place) if place else user_cache("phantoms")


def kept(facts: Mapping[str, Any], make: Callable[[], Arrays], keep: bool = True) -> Arrays:
    """What these settings give: read if it was made before, else made and kept.

    A process waits for another one that makes the same. A file that is damaged is made again; one that
    cannot be written is left out, with a warning.

    Args:
        facts: JSON types: every setting on which an array depends.
        make: makes the arrays.
        keep: whether the disk is used at all.
    """
    place = folder() if keep else None
    if place is None:
        return make()
    path = place / f"{digest_of({'version': VERSION, **facts})[:32]}.npz"
    if (found := _read(path)) is not None:
        return found
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            print(f"waiting for another process that makes {path}", file=sys.stderr)
            lock.acquire()
    except OSError as error:
        _warn(path, error)
        return make()
    with lock:
        if (found := _read(path)) is None:
            found = make()
            _write(path, found)
    return found


def _read(path: Path) -> Arrays | None:
    """The arrays of a file; None where it is absent or damaged."""
    try:
        if not path.is_file():
            return None
        found = read_npz(path, None, "its phantoms are made again")
        if str(found.pop(_SUM, "")) != _sum(found):
            raise ValueError(f"{path} is damaged: its phantoms are made again")
    except (OSError, ValueError) as error:
        warnings.warn(str(error), stacklevel=2)
        return None
    with suppress(OSError):
        os.utime(path)  # it was of use
    return found


def _write(path: Path, arrays: Arrays) -> None:
    size = sum(array.nbytes for array in arrays.values())
    if size > LIMIT:
        print(
            f"these phantoms take {size / 2**30:.1f} GiB, more than the {LIMIT / 2**30:g} GiB that are "
            "kept on disk: every command makes them again",
            file=sys.stderr,
        )
        return
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays, **{_SUM: np.array(_sum(arrays))})  # type: ignore[arg-type]
        _clear(path)
    except OSError as error:
        _warn(path, error)
        return
    print(
        f"phantoms kept in {path} ({max(size >> 20, 1)} MiB; the folder can be deleted at any time)",
        file=sys.stderr,
    )


def _clear(newest: Path) -> None:
    """Deletes what was not read for longest until the rest takes no more than ``LIMIT``."""
    others = [(p.stat(), p) for p in newest.parent.glob("*.npz") if p != newest]
    room = LIMIT - newest.stat().st_size
    for stat, path in sorted(others, key=lambda one: -one[0].st_mtime):
        room -= stat.st_size
        if room < 0:
            with suppress(OSError):  # another process reads or deletes it
                path.unlink()
                path.with_suffix(".lock").unlink(missing_ok=True)


def _sum(arrays: Arrays) -> str:
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return total.hexdigest()


def _warn(path: Path, error: OSError) -> None:
    warnings.warn(
        f"{path} cannot be written ({error.strerror or error}): every command makes its phantoms "
        f"again; {PLACE} names another folder",
        stacklevel=3,
    )
