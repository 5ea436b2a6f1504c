"""Training: optimiser, state, step, loop, checkpoints. Nothing here knows a family of models."""

from msflow_jax.training.loop import Preempted, Stopped, fit
from msflow_jax.training.optimiser import make_optimiser
from msflow_jax.training.step import TrainState

__all__ = ["Preempted", "Stopped", "TrainState", "fit", "make_optimiser"]
