"""One run a workdir."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Hold the workdir for this process; the file ``lock`` in it names who holds it.

    The operating system gives the lock back when the process ends, however it ends.

    Raises:
      ValueError: another process trains there; its id and host are named.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        yield
        return
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{workdir} is in use by {_holder(path)}: use another --workdir"
            ) from error
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}) + "\n")
        file.flush()
        yield


def _holder(path: Path) -> str:
    try:
        who = json.loads(path.read_text())
        return f"process {who['pid']} on {who['host']}"
    except (ValueError, KeyError, OSError):
        return "another process"
