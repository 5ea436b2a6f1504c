"""Ctrl-C: what it ends, and when."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

INTERRUPTED = 130  # exit status of what Ctrl-C ended


class Listener:
    """Counts Ctrl-C in a thread, which runs also while Python waits for a compiler.

    Python writes the numbers of signals that have a handler for it by itself; only the main thread may
    make one, and end it.

    Args:
        pressed: called with the number of Ctrl-C so far.
    """

    def __init__(self, pressed: Callable[[int], None]) -> None:
        reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        threading.Thread(target=self._listen, args=(reader, pressed), daemon=True).start()
        self._fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    def close(self) -> None:
        """Ends it; who listened before listens again."""
        signal.set_wakeup_fd(self._fd)
        self._writer.close()

    @staticmethod
    def _listen(reader: socket.socket, pressed: Callable[[int], None]) -> None:
        count = 0
        with reader:
            while number := reader.recv(1):
                if number[0] == signal.SIGINT:
                    count += 1
                    pressed(count)


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
        self._listener = Listener(self._press)
        self._before = signal.signal(signal.SIGINT, _leave_it_to_the_listener)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._listener.close()
            self._before = None

    def _press(self, count: int) -> None:
        self._pressed = count
        if count > self._allowed:
            end("stopped by Ctrl-C")


def _leave_it_to_the_listener(number: int, frame: FrameType | None) -> None:
    """Handles SIGINT: Python writes its number for the listening thread by itself."""


def end(message: str) -> None:
    """Ends the process at once, with a line."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        shown = "\n\x1b[?25h" if os.isatty(2) else ""  # a progress bar hides the cursor
        os.write(2, f"{shown}{message}\n".encode())
    os._exit(INTERRUPTED)
