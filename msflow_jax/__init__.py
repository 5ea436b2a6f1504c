"""One flow that classifies and draws medical images, in JAX and Flax.

``flow = msflow_jax.open("runs/quickstart")``, then ``flow.classify(images)`` and
``flow.generate("severe", 16)``; see :class:`msflow_jax.inference.flow.Flow`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from msflow_jax.inference.flow import Flow

__version__ = "0.1.0"


def open(path: "str | Path", stage: str = "") -> "Flow":
    """The trained model of a workdir, calibrated as its standing evaluation found; nothing is written.

    Args:
        path: workdir that training wrote.
        stage: name of a training stage, whose parameters are used instead of the last one's.

    Raises:
        FileNotFoundError: no workdir, or no checkpoint in it.
        ValueError: a damaged file, or parameters of another model.
    """
    from msflow_jax.workdir import open_workdir  # here, so that ``import msflow_jax`` stays quick

    return open_workdir(path, stage)
