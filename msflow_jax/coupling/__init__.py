"""MAGIC-Flow: multiscale class-conditional coupling flows with exact likelihoods."""

from msflow_jax.coupling.attribution import Explanation, likelihood_map, log_ratio_map
from msflow_jax.coupling.layout import PUBLISHED
from msflow_jax.coupling.model import CouplingFlow

__all__ = ["PUBLISHED", "CouplingFlow", "Explanation", "likelihood_map", "log_ratio_map"]
