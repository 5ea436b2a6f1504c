"""Where a step's batch comes from: data that lie on the device, or batches that arrive from the host."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from msflow_jax.data.batches import gather, to_loss
from msflow_jax.data.modality import Batch, Modality
from msflow_jax.data.order import movement, plan, set_seed
from msflow_jax.data.streaming import Batches, Stream, read_ahead
from msflow_jax.parallel.sharding import local_rows, place, place_rows, replicated, split_batch
from msflow_jax.training.source import Source, Sources


class BatchSource(Protocol):
    """What the loop needs of its data.

    ``data`` goes into every dispatch as it is; ``take(step, count)`` gives the plan of the next
    ``count`` steps, each array ``[count, B, ...]`` on the devices, and which examples they are, on the
    host, for messages; ``batch(data, plan)`` makes the batch of one step out of both, inside ``jit``.
    """

    data: Any

    def take(self, step: int, count: int) -> tuple[Any, np.ndarray]:
        """The next steps' plan, and which examples they are, ``[count, n]``."""

    def batch(self, data: Any, plan: Any) -> Batch:
        """The batch as the loss takes it; of several sets a dict of batches."""


class DeviceBatches:
    """Batches of data that lie on the device; a step sends only its plan."""

    def __init__(self, source: Source, config: ConfigDict, mesh: Mesh, seed: int | None = None):
        """Puts the data on the devices.

        Args:
            source: training data to keep on the devices.
            config: the ``train`` part of a configuration.
            mesh: devices that the batches are put on.
            seed: seed of the order; None for the configuration's.
        """
        whole = (dict(source.arrays), dict(source.present))
        self.data = place(whole, replicated(mesh))
        self._modalities, self._split = source.modalities, split_batch(mesh, axis=1)
        flips = source.flips if config.flips else ()
        balance = source.arrays["label"] if config.balanced else None
        self._settings: dict[str, Any] = dict(
            examples=len(source), batch=config.batch, balance=balance,
            **movement(source.modalities, flips, config.shift, config.crop)._asdict(),
        )  # fmt: skip
        self._seed = config.seed if seed is None else seed

    def take(self, step: int, count: int) -> tuple[Any, np.ndarray]:
        """See ``BatchSource``."""
        chosen = plan(self._seed, step, count, **self._settings)
        return place(chosen, self._split), chosen["index"]

    def batch(self, data: Any, plan: Any) -> Batch:
        """See ``BatchSource``."""
        arrays, present = data
        chosen = {name: has[plan["index"]] for name, has in present.items()}
        return to_loss(gather(arrays, plan, self._modalities), self._modalities, chosen)


class HostBatches:
    """Batches that come ready from the host, each process's part from its own reader."""

    data: tuple[()] = ()

    def __init__(
        self, batches: Iterator[Batch], modalities: Mapping[str, Modality], size: int, mesh: Mesh
    ):
        """Takes what ``msflow_jax.data.streaming.read_ahead`` gives.

        Args:
            batches: this process's parts of the batches, step by step.
            modalities: what each array is.
            size: size of the whole batch.
            mesh: devices that the batches are put on.
        """
        self._batches, self._modalities = batches, modalities
        self._size, self._split = size, split_batch(mesh, axis=1)

    def take(self, step: int, count: int) -> tuple[Any, np.ndarray]:
        """See ``BatchSource``; the steps must follow each other."""
        taken = [next(self._batches) for _ in range(count)]
        host = jax.tree.map(lambda *parts: np.stack(parts), *taken)
        return place_rows(host, self._split, self._size), host["index"]

    def batch(self, data: Any, plan: Any) -> Batch:
        """See ``BatchSource``."""
        arrays = {name: plan[name] for name in self._modalities}
        return to_loss(arrays, self._modalities, plan.get("present"))


class SeveralBatches:
    """A batch of each of several sets, side by side."""

    def __init__(self, sets: Mapping[str, BatchSource]):
        """Joins the sets' batch sources, by name."""
        self._sets = sets
        self.data = {name: one.data for name, one in sets.items()}

    def take(self, step: int, count: int) -> tuple[Any, np.ndarray]:
        """See ``BatchSource``; an example is told by its set and number, the sets in turn."""
        taken = {name: one.take(step, count) for name, one in self._sets.items()}
        told = [np.char.add(f"{name} ", index.astype(str)) for name, (_, index) in taken.items()]
        plans = {name: one for name, (one, _) in taken.items()}
        return plans, np.stack(told, axis=-1).reshape(count, -1)

    def batch(self, data: Any, plan: Any) -> Batch:
        """See ``BatchSource``."""
        return {name: one.batch(data[name], plan[name]) for name, one in self._sets.items()}


@contextmanager
def open_batches(
    source: Sources, config: ConfigDict, mesh: Mesh, start: int, steps: int
) -> Iterator[BatchSource]:
    """The batches of a run.

    Args:
        source: data on the device, a stream, or several of them by name: a batch is then a dict of
            batches, each drawn by (seed, step, name).
        config: the ``train`` part of a configuration.
        mesh: devices that the batches are put on.
        start: first step to take.
        steps: length of the run.

    Raises:
        ValueError: for ``train.balanced`` without one class per example, or modalities that cannot be
            moved together.
    """
    with ExitStack() as stack:
        if not isinstance(source, Mapping):
            yield _open(source, config, mesh, start, steps, config.seed, stack)
            return
        seeds = {name: set_seed(config.seed, name) for name in source}
        yield SeveralBatches(
            {
                name: _open(one, config, mesh, start, steps, seeds[name], stack)
                for name, one in source.items()
            }
        )


def _open(
    source: Source | Stream,
    config: ConfigDict,
    mesh: Mesh,
    start: int,
    steps: int,
    seed: int,
    stack: ExitStack,
) -> BatchSource:
    """Opens one set; ``stack`` closes it."""
    label = source.modalities.get("label")
    if config.balanced and (label is None or label.kind != "label"):
        raise ValueError(
            "train.balanced needs one class per image, not one per pixel: set it to False"
        )
    if isinstance(source, Source):
        return DeviceBatches(source, config, mesh, seed)
    batches = Batches(
        source, steps, config.batch, local_rows(mesh, config.batch), seed,
        source.flips if config.flips else (), config.shift, config.balanced, config.crop,
    )  # fmt: skip
    iterator = stack.enter_context(read_ahead(batches, start, source.workers))
    return HostBatches(iterator, source.modalities, config.batch, mesh)
