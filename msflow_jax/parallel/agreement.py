"""Several processes that must have read the same: what one of them has otherwise is refused."""

import zlib
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from msflow_jax.storage.text import listed


def check_agreement(**found: Any) -> None:
    """Compares what all processes have, by checksums; without effect where there is one process.

    Every process must call this with the same names.

    Args:
        **found: by what it is called, with ``_`` for blanks: text, or a tree of arrays, of which those
            of whole numbers are compared number by number, and of others the shapes alone.

    Raises:
        ValueError: in all processes, where one has something else than the first.
    """
    if jax.process_count() == 1:
        return
    mine = np.array([_checksum(one) for one in found.values()], np.uint32)
    all_of_them = np.asarray(multihost_utils.process_allgather(mine)).reshape(-1, len(found))
    for name, sums in zip(found, all_of_them.T, strict=True):
        if others := np.flatnonzero(sums != sums[0]).tolist():
            raise ValueError(
                f"process{'es' * (len(others) > 1)} {listed(map(str, others))} "
                f"{'have' if len(others) > 1 else 'has'} other {name.replace('_', ' ')} than process 0: "
                "give all of them the same files and settings (also such as a machine chooses)"
            )


def _checksum(what: Any) -> int:
    if isinstance(what, str):
        return zlib.crc32(what.encode())
    found = 0
    for leaf in jax.tree.leaves(what):
        array = np.asarray(leaf)
        found = zlib.crc32(repr((array.shape, array.dtype.str)).encode(), found)
        if array.dtype.kind in "iub":
            found = zlib.crc32(np.ascontiguousarray(array).data, found)
    return found
