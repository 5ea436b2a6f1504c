"""Noticing that a run shall end: SIGTERM, since the machine is about to be taken away, or Ctrl-C."""

import itertools
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils

from msflow_jax.storage.interruption import INTERRUPTED, Listener, end

# JAX's coordination service agrees on a *call* of the process, whichever stage makes it: the one after
# the last that any process has made. Steps, of which one call may make many, would pass it by.
_CALLS = itertools.count(1)
_PATIENCE = 2.0  # seconds after which Ctrl-C is acknowledged, if the step is not over by then


class Preemption:
    """Within its context SIGTERM and the first Ctrl-C end nothing: ``requested`` tells that they came.

    The second Ctrl-C ends the process at once, even where Python waits for a compiler.

    With several processes JAX's coordination service listens instead, and makes all of them agree on
    the step after which to stop; Ctrl-C is handed to it as SIGTERM.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._before: dict[int, Any] = {}
        self._alone = jax.process_count() == 1
        self._over = threading.Event()
        self._listener: Listener | None = None

    @property
    def name(self) -> str:
        """What ends the run, in words."""
        return "Ctrl-C" if self._number == signal.SIGINT else "SIGTERM"

    @property
    def status(self) -> int:
        """Exit status of a command that it ends."""
        return INTERRUPTED if self._number == signal.SIGINT else 0

    def __enter__(self) -> "Preemption":
        # Only the main thread may set handlers; in a worker thread the signals keep their meaning.
        if threading.current_thread() is threading.main_thread():
            numbers = (signal.SIGTERM, signal.SIGINT) if self._alone else (signal.SIGINT,)
            # What is ignored stays so: Ctrl-C of a terminal is not for a background job of a script.
            heard = [one for one in numbers if signal.getsignal(one) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in heard}
            # Python runs a handler only between two of its own steps: what must not wait listens here.
            self._listener = Listener(self._press)
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._listener:
            self._listener.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._number is None and not self._alone:
            os.kill(os.getpid(), signal.SIGTERM)
        self._number = self._number or number

    def _press(self, count: int) -> None:
        """What the listening thread does."""
        if count > 1:
            end("stopped at once by the second Ctrl-C: the last checkpoint is kept")
        threading.Thread(target=self._acknowledge, daemon=True).start()

    def _acknowledge(self) -> None:
        if not self._over.wait(_PATIENCE):
            print("stopping after this step; Ctrl-C once more stops at once", file=sys.stderr)

    def requested(self) -> bool:
        """Whether to save and stop now; every process must call this after the same steps."""
        if self._alone:
            return self._number is not None
        return bool(multihost_utils.reached_preemption_sync_point(next(_CALLS)))
