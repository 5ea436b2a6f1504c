"""Batches for data that do not fit on the device: read, decoded and moved by `grain` in the background.

The order is that of `order.plan`, a pure function of (seed, step): the step is the whole state of the
iterator. It may go on with another number of workers or processes, and sees the same batches.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.data.base import LazySplit, Split
from msflow_jax.data.order import plan

Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class Stream:
    """A split that is read while training.

    Attributes:
        split: Where images and labels come from.
        workers: Worker processes; 0 reads ahead in threads of the training process.
        maps: Whether the labels are the split's per-pixel maps.
    """

    split: Split | LazySplit
    workers: int = 0
    maps: bool = False

    def __len__(self) -> int:
        return len(self.split)


@dataclass(frozen=True)
class Batches:
    """Batches by step, as a random-access source of `grain`.

    Attributes:
        split: Where images and labels come from.
        steps: Length of the run.
        batch: Size of the whole batch, over all processes.
        rows: First and last + 1 of the batch's rows that this process needs.
        seed: Seed of the order and of the augmentation.
        flips: As for `order.plan`.
        shift: As for `order.plan`.
        maps: Whether the labels are the split's per-pixel maps.
        balanced: Whether every class is equally frequent.
    """

    split: Split | LazySplit
    steps: int
    batch: int
    rows: tuple[int, int]
    seed: int
    flips: Sequence[str] = ()
    shift: int = 0
    maps: bool = False
    balanced: bool = False

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        """This process's rows of a batch: `index` `[b]`, `image` uint8 `[b, S, S, C]`, `label`.

        Raises:
            ValueError: For an image that cannot be read; names it.
        """
        chosen = plan(
            self.seed, step, 1, examples=len(self.split), batch=self.batch, side=self.split.side,
            flips=self.flips, shift=self.shift, balance=self.split.labels if self.balanced else None,
        )  # fmt: skip
        mine = {name: value[0, slice(*self.rows)] for name, value in chosen.items()}
        index = mine["index"]
        images = [self.split.read(int(i)) for i in index]
        labels = self.split.maps[index] if self.maps else self.split.labels[index]  # type: ignore[index]
        if "rows" in mine:
            moves = list(zip(mine["rows"], mine["columns"], strict=True))
            images = [a[r][:, c] for a, (r, c) in zip(images, moves, strict=True)]
            if self.maps:
                labels = np.stack([a[r][:, c] for a, (r, c) in zip(labels, moves, strict=True)])
        return {"index": index, "image": np.stack(images), "label": labels}


@contextmanager
def read_ahead(batches: Batches, start: int = 0, workers: int = 0) -> Iterator[Iterator[Batch]]:
    """The batches from step `start` on, read in the background.

    Args:
        batches: What to read.
        start: First step.
        workers: Worker processes; 0 reads ahead in threads of this one.

    Raises:
        ImportError: If `grain` is not installed.
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
