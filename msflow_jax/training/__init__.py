"""Training: stages, optimiser, state, step, loop. Nothing here knows a family of models."""

from msflow_jax.training.endings import Preempted, Stopped
from msflow_jax.training.loop import fit
from msflow_jax.training.optimiser import make_optimiser
from msflow_jax.training.sequence import read_params, run_stages
from msflow_jax.training.stage import Stage, merge, split
from msflow_jax.training.step import TrainState

__all__ = [
    "Preempted",
    "Stage",
    "Stopped",
    "TrainState",
    "fit",
    "make_optimiser",
    "merge",
    "read_params",
    "run_stages",
    "split",
]
