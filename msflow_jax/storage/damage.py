"""Checkpoint folders that a crash or a full disk left: found, named and put out of the way."""

import json
import shutil
import time
import warnings
from pathlib import Path

import jax


def unreadable(path: Path, reason: str) -> str:
    """The message about a checkpoint that cannot be read.

    Args:
        path: folder of the checkpoint.
        reason: what is wrong with it.
    """
    return (
        f"checkpoint {path} cannot be read ({reason}): restore it from a copy, or remove that folder "
        "to use the others"
    )


def unsound(folder: Path) -> list[Path]:
    """Numbered folders that hold no parameters, or whose metrics cannot be parsed.

    Args:
        folder: folder of the checkpoints.
    """
    numbered = [p for p in folder.glob("*") if p.name.isdecimal() and p.is_dir()]
    return [p for p in numbered if not ((p / "ema").is_dir() and _parses(p / "metrics/metrics"))]


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


def _parses(path: Path) -> bool:
    """Whether a file is absent or JSON."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True
