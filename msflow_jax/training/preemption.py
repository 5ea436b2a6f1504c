"""Noticing that the machine is about to be taken away."""

import signal
import threading
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils


class Preemption:
    """Within its context SIGTERM ends nothing by itself: ``requested`` tells that it came.

    With several processes JAX's coordination service listens instead, and makes all of them agree on
    the step after which to stop.
    """

    def __init__(self) -> None:
        self._came = threading.Event()
        self._before: Any = None
        self._alone = jax.process_count() == 1

    def __enter__(self) -> "Preemption":
        # Only the main thread may set handlers; in a worker thread SIGTERM keeps its meaning.
        if self._alone and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came.set()

    def requested(self, step: int) -> bool:
        """Whether to save and stop after this step; every process must call this at every step."""
        if self._alone:
            return self._came.is_set()
        return bool(multihost_utils.reached_preemption_sync_point(step))
