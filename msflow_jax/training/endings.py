"""How training ends before its time."""

from collections.abc import Mapping

import numpy as np

from msflow_jax.storage.checkpoints import Checkpoints


class Stopped(RuntimeError):
    """Training ended before its time; the message says where, why, and what is kept."""


class Preempted(Stopped):
    """SIGTERM or Ctrl-C ended training; all is saved, and the same call goes on from there.

    Attributes:
        status: exit status of a command that ends with it.
    """

    def __init__(self, message: str, status: int = 0):
        super().__init__(message)
        self.status = status


def require_saved(checkpoints: Checkpoints) -> None:
    """Raises :class:`Stopped` where the last save failed."""
    if not checkpoints.wait():
        raise Stopped(
            f"the last state of the run could not be saved in {checkpoints.folder}: make room on the "
            "disk and repeat the command to go on from the last checkpoint"
        )


def check_finite(
    metrics: Mapping[str, np.ndarray], step: int, indices: np.ndarray, kept: Checkpoints
) -> None:
    """Stop before parameters that are not finite are kept: the gradient can fail before the loss."""
    bad = np.flatnonzero(~np.isfinite(metrics["loss"]) | ~np.isfinite(metrics["gradient_norm"]))
    if not len(bad):
        return
    kept.wait()
    last = kept.steps()[-1] if kept.steps() else None
    loss, norm = metrics["loss"][bad[0]], metrics["gradient_norm"][bad[0]]
    shown = ", ".join(str(i) for i in indices[bad[0]][:8])
    raise Stopped(
        f"the loss is {loss} and its gradient's norm {norm} at step {step + int(bad[0]) + 1} "
        f"(training images {shown}, ...). "
        + (f"The checkpoint of step {last} is kept. " if last is not None else "")
        + "Lower train.learning_rate, or set train.clip=1"
    )
