"""One training run per workdir."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Holds the workdir for this process; the file ``lock`` in it names the holder.

    The operating system releases the lock when the process ends, however it ends. The file stays.

    Args:
        workdir: folder to hold; made if it does not exist.

    Raises:
        ValueError: another process trains there; its id and host are named.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / "lock"
    try:
        held = FileLock(path, on_acquired=_write_holder).acquire(blocking=False)
    except Timeout as error:
        raise ValueError(
            f"{workdir} is in use by {_holder(path)}: use another --workdir"
        ) from error
    with held:
        yield


def _write_holder(descriptor: int) -> None:
    """Replaces the content of the lock file, which is that of the last holder."""
    holder = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}) + "\n"
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, holder.encode())


def _holder(path: Path) -> str:
    try:
        who = json.loads(path.read_text(encoding="utf-8"))
        return f"process {who['pid']} on {who['host']}"
    except (ValueError, KeyError, TypeError, OSError):  # Windows refuses to read a locked file
        return "another process"
