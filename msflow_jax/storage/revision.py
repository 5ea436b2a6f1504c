"""The git revision of the library's own source tree."""

import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]  # where the library runs from its source


def revision(source: Path) -> str | None:
    """The git revision of a source tree; None where it is not the top of a repository.

    An environment within somebody's repository has the library in it, but not its history.
    """
    top = _git(source, "rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != source.resolve():
        return None
    return _git(source, "describe", "--always", "--dirty")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        out = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=10, cwd=folder
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return (out.stdout.strip() or None) if out.returncode == 0 else None
