"""Ctrl-C: what it ends, and when."""

import contextlib
import os
import signal
import socket
import sys
import threading
from types import FrameType
from typing import Any

INTERRUPTED = 130  # exit status of what Ctrl-C ended


class Interruption:
    """Within its context the first Ctrl-C ends nothing by itself, ``came`` tells; the next one does.

    Not by an exception, as Python has it: in an import that ends in a crash, in a callback of JAX it is
    lost, and while a compiler runs it waits. Files are written so that an end at any moment harms none.

    Args:
        allowed: number of Ctrl-C that end nothing.
    """

    def __init__(self, allowed: int = 1) -> None:
        self._allowed = allowed
        self._pressed = 0
        self._before: Any = None

    @property
    def came(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._pressed > 0

    def __enter__(self) -> "Interruption":
        here = threading.current_thread() is threading.main_thread()  # others may set no handlers
        # What listens already (training, a caller's own handler, nohup) keeps Ctrl-C.
        free = (signal.default_int_handler, signal.SIG_DFL, _leave_it_to_the_listener)
        if not here or signal.getsignal(signal.SIGINT) not in free:
            return self
        reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        threading.Thread(target=self._listen, args=(reader,), daemon=True).start()
        self._fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._before = signal.signal(signal.SIGINT, _leave_it_to_the_listener)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            signal.set_wakeup_fd(self._fd)
            self._writer.close()
            self._before = None

    def _listen(self, reader: socket.socket) -> None:
        """What the listening thread does, which runs also while Python waits for a compiler."""
        with reader:
            while number := reader.recv(1):
                if number[0] == signal.SIGINT:
                    self._pressed += 1
                    if self._pressed > self._allowed:
                        _end()


def _leave_it_to_the_listener(number: int, frame: FrameType | None) -> None:
    """Handles SIGINT: Python writes its number for the listening thread by itself."""


def _end() -> None:
    """Ends the process at once, with a line."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        shown = b"\n\x1b[?25h" if os.isatty(2) else b""  # a progress bar hides the cursor
        os.write(2, shown + b"stopped by Ctrl-C\n")
    os._exit(INTERRUPTED)
