"""Standard streams on which nothing that is printed ends the work."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from msflow_jax.storage.content import printable


class _Stream:
    """A standard stream that goes silent where its reader has left (``| head``): the work goes on.

    Args:
        stream: stream of the process.
        clean: whether control characters are written as escapes; a progress bar needs them.
    """

    def __init__(self, stream: Any, clean: bool) -> None:
        self._stream, self._clean = stream, clean

    def write(self, text: str) -> int:
        """Writes text, or nothing where nobody reads any more."""
        with self._silenced():
            self._stream.write(printable(text, keep="\n\t") if self._clean else text)
        return len(text)

    def flush(self) -> None:
        """Flushes likewise."""
        with self._silenced():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _silenced(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # What is still in the buffer, and all that comes, goes nowhere.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            if not isinstance(error, BrokenPipeError):  # a full disk, said once
                raise OSError(error.errno, error.strerror, "standard output") from error


@contextlib.contextmanager
def guarded_streams() -> Iterator[None]:
    """Within it nothing that is printed ends the work: no closed pipe, no letter that a locale lacks."""
    with contextlib.ExitStack() as stack:
        for name, clean in (("stdout", True), ("stderr", False)):
            stream = getattr(sys, name)
            if stream is None:  # closed by the caller
                continue
            with contextlib.suppress(AttributeError):
                stream.reconfigure(errors="backslashreplace")
            guarded: Any = _Stream(stream, clean)
            # Whatever is left is flushed here, where a closed pipe is no error.
            stack.callback(guarded.flush)
            redirect = contextlib.redirect_stdout if clean else contextlib.redirect_stderr
            stack.enter_context(redirect(guarded))
        yield
