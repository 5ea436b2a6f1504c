"""Work that one thread does: what waits is joined to batches, and what finds no room is refused.

JAX's programs, Python's warnings and the library's progress belong to a whole process: one thread uses
them all, and nothing has to be locked.
"""

import contextlib
import threading
import traceback
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

# A kind of job and what was asked -> a result, or the error, of each.
Do = Callable[[Any, Sequence[Any]], Sequence[Any]]


class Full(RuntimeError):
    """As many jobs wait as may."""


class Closed(RuntimeError):
    """No job is taken any more."""


@dataclass
class _Job:
    kind: Hashable
    asked: Any
    future: Future = field(default_factory=Future)


class Worker:
    """One thread that does jobs in their order; those of one kind that wait are done together.

    Args:
        do: does jobs of one kind; an exception among its results is raised for that one.
        together: most jobs that are done at once.
        waiting: most jobs that wait.
        meanwhile: what is done, one after the other, while no job waits.

    Raises:
        ValueError: a number below 1.
    """

    def __init__(
        self, do: Do, *, together: int, waiting: int, meanwhile: Iterable[Callable[[], Any]] = ()
    ):
        if together < 1 or waiting < 1:
            raise ValueError(f"jobs at once and waiting must be 1 or more: {together}, {waiting}")
        self._do, self._together, self._most = do, together, waiting
        self._jobs: deque[_Job] = deque()
        self._meanwhile = deque(meanwhile)
        self._changed, self._open = threading.Condition(), True
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return len(self._jobs)

    @property
    def alive(self) -> bool:
        """Whether jobs are taken."""
        return self._open and self._thread.is_alive()

    def submit(self, kind: Hashable, asked: Any) -> Future:
        """A job at the end of the queue; its result comes in the future.

        Raises:
            Full: there is no room.
            Closed: it was closed.
        """
        with self._changed:
            if not self.alive:
                raise Closed("the service is stopping")
            if len(self._jobs) >= self._most:
                raise Full(f"{len(self._jobs)} requests are waiting, and no more may")
            job = _Job(kind, asked)
            self._jobs.append(job)
            self._changed.notify()
        return job.future

    def close(self, timeout: float | None = None) -> bool:
        """Takes no more jobs, does those that wait; whether all were done within seconds."""
        with self._changed:
            self._open = False
            self._meanwhile.clear()
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            if not batch:
                self._aside()
                continue
            kind, asked = batch[0].kind, [job.asked for job in batch]
            # Whatever comes: a thread that ended would leave all who wait without a word.
            try:
                results = list(self._do(kind, asked))
                if len(results) != len(batch):
                    raise RuntimeError(f"{len(results)} results of {len(batch)} jobs")
            except BaseException as error:
                results = [error] * len(batch)
            for job, result in zip(batch, results, strict=True):
                if isinstance(result, BaseException):
                    job.future.set_exception(result)
                else:
                    job.future.set_result(result)

    def _aside(self) -> None:
        with contextlib.suppress(IndexError):  # it was closed since
            step = self._meanwhile.popleft()
            try:
                step()
            except BaseException:
                traceback.print_exc()

    def _take(self) -> list[_Job] | None:
        """The first job and those of its kind; none meanwhile; None once it is closed."""
        with self._changed:
            while True:
                if not self._meanwhile:
                    self._changed.wait_for(lambda: self._jobs or not self._open)
                batch: list[_Job] = []
                rest: deque[_Job] = deque()
                for job in self._jobs:
                    same = not batch or job.kind == batch[0].kind
                    if same and len(batch) < self._together:
                        # One that was given up while it waited is left out.
                        if job.future.set_running_or_notify_cancel():
                            batch.append(job)
                    else:
                        rest.append(job)
                self._jobs = rest
                if batch:
                    return batch
                if not (self._jobs or self._open):
                    return None
                if self._meanwhile and not self._jobs:
                    return []
