"""Evaluation: takes arrays, not models; returns plain Python that `json` can write.

An undefined metric is `None` and its reason stands under `"undefined"`; no result holds a NaN.
"""

from msflow_jax.evaluation.classification import evaluate_classifier
from msflow_jax.evaluation.distances import frechet_distance, nearest_training, prdc
from msflow_jax.evaluation.generation import evaluate_generation
from msflow_jax.evaluation.selective import aurc, rejection_curve

__all__ = [
    "aurc",
    "evaluate_classifier",
    "evaluate_generation",
    "frechet_distance",
    "nearest_training",
    "prdc",
    "rejection_curve",
]
