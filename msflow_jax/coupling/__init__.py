"""MAGIC-Flow: multiscale class-conditional coupling flows with exact likelihoods."""

from msflow_jax.coupling.attribution import contrast_map, likelihood_map
from msflow_jax.coupling.layout import PUBLISHED
from msflow_jax.coupling.model import CouplingFlow

__all__ = ["PUBLISHED", "CouplingFlow", "contrast_map", "likelihood_map"]
