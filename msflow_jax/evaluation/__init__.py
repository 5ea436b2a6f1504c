"""Evaluation: takes arrays, not models; returns plain Python that ``json`` can write.

An undefined metric is None and its reason stands under ``undefined``; no result holds a NaN. Importing
this package is cheap: scikit-learn, scipy and jax are imported by the functions that need them.
"""

from msflow_jax.evaluation.classification import evaluate_classifier
from msflow_jax.evaluation.generation import evaluate_generation

__all__ = ["evaluate_classifier", "evaluate_generation"]
