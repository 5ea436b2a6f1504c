"""Checkpoint folders that a crash or a full disk left: found, named and put out of the way."""

import shutil
import time
import warnings
from pathlib import Path

import jax

from msflow_jax.storage.jsons import read_object

DELETED = "deleted"  # folder of checkpoints that are about to go
_LONGEST = 160  # letters of a reason: what tensorstore says goes on for thousands


def unreadable(path: Path, reason: str) -> str:
    """The message about a checkpoint that cannot be read.

    Args:
        path: folder of the checkpoint.
        reason: what is wrong with it.
    """
    reason = reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]} ..."
    return (
        f"checkpoint {path} cannot be read ({reason}): restore it from a copy, or remove that folder "
        "to use the others"
    )


def unsound(folder: Path) -> list[Path]:
    """Numbered folders that hold no parameters, or whose metrics cannot be parsed.

    Args:
        folder: folder of the checkpoints.
    """
    return [p for p in _numbered(folder) if not ((p / "ema").is_dir() and _parses(p))]


def clear(path: Path) -> None:
    """Remove an unsound checkpoint that is a deletion cut short, else set it aside.

    That is one without parameters, and older than a whole one.

    Args:
        path: folder of the checkpoint.
    """
    cut = {other.name for other in unsound(path.parent)}
    whole = [int(p.name) for p in _numbered(path.parent) if p.name not in cut]
    if whole and int(path.name) < max(whole) and not (path / "ema").is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        set_aside(path)


def set_aside(path: Path) -> None:
    """Rename a damaged checkpoint, with a warning, so that its step can be saved again.

    Args:
        path: folder of the checkpoint.
    """
    new = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    warnings.warn(f"{path} is no whole checkpoint: moved to {new.name}", stacklevel=4)
    path.rename(new)


def remove_unfinished(folder: Path) -> None:
    """Remove leftovers of saves that a crash or a full disk cut short.

    Args:
        folder: folder of the checkpoints.
    """
    if jax.process_index() == 0:
        for path in folder.glob("*.orbax-checkpoint-tmp*"):
            shutil.rmtree(path, ignore_errors=True)


def remove_deleted(folder: Path) -> None:
    """Remove checkpoints that were renamed to be deleted.

    Args:
        folder: folder of the checkpoints.
    """
    if jax.process_index() == 0:
        shutil.rmtree(folder / DELETED, ignore_errors=True)


def _numbered(folder: Path) -> list[Path]:
    return [p for p in folder.glob("*") if p.name.isdecimal() and p.is_dir()]


def read_metrics(path: Path) -> dict[str, float]:
    """The metrics saved with a checkpoint; {} where there are none.

    Args:
        path: folder of the checkpoint.

    Raises:
        ValueError: they cannot be read.
    """
    try:
        return read_object(path / "metrics" / "metrics")
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(unreadable(path, f"its metrics are damaged, {error}")) from error


def _parses(path: Path) -> bool:
    try:
        read_metrics(path)
    except ValueError:
        return False
    return True
