"""A writer of metrics in a thread of its own: what it raises or waits for never reaches the run."""

import queue
import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_ROWS = 1000  # that may wait for a slow writer
_SECONDS = 30.0  # that a run waits at its end for the last rows


class Guarded:
    """Hands rows to a writer; one that fails, or cannot keep up, is dropped with one warning.

    Args:
        name: name of the writer, for the warning.
        workdir: folder of the run, for the warning.
        make: makes the writer.

    Raises:
        ImportError: the package of the writer is not installed.
    """

    def __init__(self, name: str, workdir: Path, make: Callable[[], Any]):
        self._what = f"train.writers: {name} of {workdir}"
        self._rows: queue.Queue[tuple[int, Mapping[str, float]] | None] = queue.Queue(_ROWS)
        self._error: Exception | None = None
        self._dropped = False
        try:
            writer = make()
        except ImportError:
            raise
        except Exception as error:  # whatever a service raises: no network, no login, no room
            self._drop(error)
            return
        self._thread = threading.Thread(target=self._work, args=(writer,), daemon=True)
        self._thread.start()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """The values of a step; returns at once."""
        self._put((step, values))

    def close(self, seconds: float = _SECONDS) -> None:
        """No more is coming; waits for the writer, but not for ever.

        Args:
            seconds: longest time to wait.
        """
        self._put(None)
        if self._dropped:
            return
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._drop(TimeoutError(f"it did not end within {seconds:.0f} seconds"))
        elif self._error is not None:
            self._drop(self._error)

    def _put(self, row: tuple[int, Mapping[str, float]] | None) -> None:
        if self._dropped:
            return
        if self._error is not None:
            self._drop(self._error)
            return
        try:
            self._rows.put_nowait(row)
        except queue.Full:
            self._drop(TimeoutError(f"{_ROWS} rows wait for it"))

    def _work(self, writer: Any) -> None:
        """What the thread does: rows until the end, or until an error."""
        try:
            while (row := self._rows.get()) is not None:
                writer.write(*row)
            writer.close()
        except Exception as error:
            self._error = error

    def _drop(self, error: Exception) -> None:
        self._dropped = True
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        warnings.warn(f"{self._what} is left out, training goes on ({reason})", stacklevel=4)
