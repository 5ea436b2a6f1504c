"""Reading checkpoints beside a training that saves others and removes some."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msflow_jax.storage.checkpoints import Checkpoints

_TRIES = 20  # of a reader beside a training
T = TypeVar("T")


def reading(folder: Path, select: str, read: Callable[[Checkpoints], T]) -> T:
    """What a function reads of a stage's checkpoints; once more where one went meanwhile.

    A training that saves beside the reader removes checkpoints between its listing and its reading.
    """
    checkpoints = folder / "checkpoints"
    if not checkpoints.is_dir():
        raise FileNotFoundError(f"no checkpoint in {checkpoints}: train first, or check --workdir")
    for _ in range(_TRIES):
        before = _names(checkpoints)
        try:
            with Checkpoints(checkpoints, select=select, read_only=True) as kept:
                return read(kept)
        except (OSError, ValueError):
            if before == _names(checkpoints):
                raise
    raise FileNotFoundError(
        f"the checkpoints in {checkpoints} change faster than they can be read: try again once the "
        "training beside is over"
    )


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
