"""Batches of data that do not fit on the device: read, decoded, moved by ``grain`` in the background.

The order is that of ``order.plan``, a pure function of (seed, step): the step is the whole state of the
iterator. It may go on with another number of workers or processes, and sees the same batches.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from msflow_jax.data.modality import Batch, Modality
from msflow_jax.data.order import move, movement, plan
from msflow_jax.data.split import LazySplit, Split, hint

IMAGE_AND_LABEL = {"image": "image", "label": "label"}


@dataclass(frozen=True)
class Stream:
    """A split that is read while training.

    Attributes:
        split: where the examples come from.
        workers: worker processes; 0 reads ahead in threads of the training process.
        flips: random flips of what moves, as for ``order.windows``.
        arrays: name of the split's array for each name in a batch.
    """

    split: Split | LazySplit
    workers: int = 0
    flips: tuple[str, ...] = ()
    arrays: Mapping[str, str] = field(default_factory=lambda: IMAGE_AND_LABEL)

    def __post_init__(self) -> None:
        select(self.split.modalities, self.arrays)

    def __len__(self) -> int:
        return len(self.split)

    @property
    def modalities(self) -> dict[str, Modality]:
        """What each array of a batch is."""
        return select(self.split.modalities, self.arrays)

    @property
    def present(self) -> dict[str, np.ndarray]:
        """Of arrays that an example may lack: whether it has it, by their names in a batch."""
        return present_in(self.split, self.arrays)


def select(parts: Mapping[str, Any], arrays: Mapping[str, str]) -> dict[str, Any]:
    """Parts of a split under the names that they have in a batch.

    Args:
        parts: parts by the names of the split's arrays.
        arrays: name of the split's array for each name in a batch.

    Raises:
        ValueError: if the split has no such array; names it.
    """
    if missing := sorted(set(arrays.values()) - set(parts)):
        raise ValueError(
            f"this split has no {', '.join(missing)}; it has {', '.join(parts)}{hint(missing[0])}"
        )
    return {name: parts[array] for name, array in arrays.items()}


def present_in(split: Split | LazySplit, arrays: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The ``present`` of a split under the names that its arrays have in a batch."""
    return {name: split.present[a] for name, a in arrays.items() if a in split.present}


@dataclass(frozen=True)
class Batches:
    """Batches by step, as a random-access source of ``grain``.

    Attributes:
        stream: what is read.
        steps: length of the run.
        batch: size of the whole batch, over all processes.
        part: first and last + 1 of the examples of a batch that this process needs.
        seed: seed of the order and of the augmentation.
        flips: random flips; not those of the stream, which a configuration may switch off.
        shift: largest shift in pixels, see ``order.windows``.
        balanced: whether every class is equally frequent.
        crop: side of the random crops, see ``order.windows``.
    """

    stream: Stream
    steps: int
    batch: int
    part: tuple[int, int]
    seed: int
    flips: tuple[str, ...] = ()
    shift: int = 0
    balanced: bool = False
    crop: int = 0

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        """This process's part of a batch, as it is stored: ``index`` ``[b]``, each array ``[b, ...]``.

        Raises:
            ValueError: for an image that cannot be read; names it.
        """
        split, modalities = self.stream.split, self.stream.modalities
        moves = movement(modalities, self.flips, self.shift, self.crop)
        chosen = plan(
            self.seed, step, 1, examples=len(split), batch=self.batch, **moves._asdict(),
            balance=self._labels() if self.balanced else None,
        )  # fmt: skip
        mine = slice(*self.part)
        index = chosen["index"][0, mine]
        batch: Batch = {"index": index}
        for name, array in self.stream.arrays.items():
            rows = split.rows(array, index)
            if modalities[name].variants:
                rows = rows[np.arange(len(index)), chosen["variant"][0, mine]]
            if modalities[name].moves and "axes" in chosen:
                each = zip(*(axis[0, mine] for axis in chosen["axes"]), strict=True)
                rows = np.stack([move(example, at) for example, at in zip(rows, each, strict=True)])
            batch[name] = rows
        present = self.stream.present
        return (
            {**batch, "present": {n: has[index] for n, has in present.items()}}
            if present
            else batch
        )

    def _labels(self) -> np.ndarray:
        split = self.stream.split
        return split.rows(self.stream.arrays["label"], np.arange(len(split)))


@contextmanager
def read_ahead(batches: Batches, start: int = 0, workers: int = 0) -> Iterator[Iterator[Batch]]:
    """The batches from step ``start`` on, read in the background.

    Args:
        batches: what to read.
        start: first step to read.
        workers: worker processes; 0 reads ahead in threads of this one.

    Raises:
        ImportError: if ``grain`` is not installed.
    """
    grain = _grain()
    threads = grain.ReadOptions(num_threads=0 if workers else 2, prefetch_buffer_size=2)
    ahead: Any = grain.MapDataset.source(batches)[start:].to_iter_dataset(threads)
    if workers:
        options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2)
        ahead = ahead.mp_prefetch(options, worker_init_fn=_follow_parent)
    iterator = iter(ahead)
    try:
        yield iterator
    finally:
        iterator.close()


def _follow_parent(index: int, count: int) -> None:
    """In a worker: ends when the training process does, and no sooner.

    A signal to the whole process group (Ctrl-C, preemption) is for the training process, which still
    needs batches to come to its end. Grain's workers would outlive one that was killed.
    """
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)

    def leave() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=leave, daemon=True).start()


def _grain() -> Any:
    try:
        import grain
    except ImportError as error:
        raise ImportError(
            "data.loader='grain' needs the package grain: pip install 'msflow_jax[grain]', or set "
            "data.loader='device'"
        ) from error
    from absl import flags

    if not flags.FLAGS.is_parsed():  # grain's workers read absl's flags, which are not ours
        flags.FLAGS.mark_as_parsed()
    return grain
