"""Where a step's batch comes from: data that lie on the device, or batches that arrive from the host."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from msflow_jax.data.batches import gather
from msflow_jax.data.order import plan
from msflow_jax.data.streaming import Batches, Stream, read_ahead
from msflow_jax.parallel.sharding import local_rows, place, place_rows, replicated, split_batch

Batch = dict[str, Any]


class Feed(Protocol):
    """What the loop needs of its data.

    ``resident`` goes into every dispatch as it is; ``take(step, count)`` gives what else the next
    ``count`` steps need, each array ``[count, B, ...]`` on the devices, and the examples' numbers on the
    host; ``batch(resident, one)`` makes the batch of one step out of both, inside ``jit``.
    """

    resident: Any

    def take(self, step: int, count: int) -> tuple[Any, np.ndarray]:
        """The next steps' arrays, and which examples they are."""

    def batch(self, resident: Any, one: Batch) -> Batch:
        """``image`` ``[B, S, S, C]``, uint8 (latents: floats), ``label``, and what else there is."""


class Resident:
    """Training data on the device; a step brings only its plan."""

    def __init__(
        self, data: Mapping[str, np.ndarray], config: ConfigDict, flips: tuple[str, ...], mesh: Mesh
    ):
        self.resident = place(dict(data), replicated(mesh))
        shape = data["image"].shape
        variants = shape[1] if len(shape) == 5 else 0
        self._plan = dict(examples=shape[0], side=shape[-2], flips=flips, shift=config.shift)
        self._plan |= dict(variants=variants, flips=() if variants else flips)
        self._plan |= dict(balance=data["label"] if config.balanced else None)
        self._config, self._split = config, split_batch(mesh, axis=1)

    def take(self, step: int, count: int) -> tuple[Any, np.ndarray]:
        """See :class:`Feed`."""
        chosen = plan(self._config.seed, step, count, batch=self._config.batch, **self._plan)
        return place(chosen, self._split), chosen["index"]

    def batch(self, resident: Any, one: Batch) -> Batch:
        """See :class:`Feed`."""
        return gather(resident, one)


class Streamed:
    """Batches that come ready from the host, each process's rows from its own reader."""

    resident: tuple[()] = ()

    def __init__(self, batches: Iterator[Batch], size: int, mesh: Mesh):
        self._batches, self._size, self._split = batches, size, split_batch(mesh, axis=1)

    def take(self, step: int, count: int) -> tuple[Any, np.ndarray]:
        """See :class:`Feed`; the steps must follow each other."""
        found = [next(self._batches) for _ in range(count)]
        host = jax.tree.map(lambda *parts: np.stack(parts), *found)
        return place_rows(host, self._split, self._size), host["index"]

    def batch(self, resident: Any, one: Batch) -> Batch:
        """See :class:`Feed`."""
        return {name: one[name] for name in ("image", "label")}


@contextmanager
def open_feed(
    data: Mapping[str, np.ndarray] | Stream,
    config: ConfigDict,
    flips: tuple[str, ...],
    mesh: Mesh,
    start: int,
    steps: int,
) -> Iterator[Feed]:
    """The feed of a run from step ``start`` on; ``data`` as for :func:`msflow_jax.training.fit`."""
    flips = flips if config.flips else ()
    if config.balanced and (data.maps if isinstance(data, Stream) else data["label"].ndim > 1):
        raise ValueError(
            "train.balanced needs one class an image, not one a pixel: set it to False"
        )
    if not isinstance(data, Stream):
        yield Resident(data, config, flips, mesh)
        return
    batches = Batches(
        split=data.split, steps=steps, batch=config.batch,
        rows=local_rows(mesh, config.batch), seed=config.seed, flips=flips, shift=config.shift,
        maps=data.maps, balanced=config.balanced,
    )  # fmt: skip
    with read_ahead(batches, start, data.workers) as iterator:
        yield Streamed(iterator, config.batch, mesh)
