"""Head phantoms in six contrasts, generated and classified by exact likelihoods. No download.

Paper: MAGIC-Flow (arXiv 2510.22070), much smaller than published.
Command: python -m experiments.train --config=configs/magic_phantom_modality.py
Measured (one seed): test accuracy 100, Frechet distance 0.26 (docs/coupling.md).
"""

from msflow_jax.config import default_config
from msflow_jax.coupling.recipes import magic


def get_config():
    """The whole configuration of the run."""
    config = magic(default_config("coupling"), "cpu")
    config.data.name = "phantoms"
    config.data.phantoms.task = "contrast"
    config.train.steps = 2500
    config.train.select = "-val_bits"
    return config
