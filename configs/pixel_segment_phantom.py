"""Tissues and lesions of head phantoms, pixel by pixel, on two cores, in minutes. No download.

Paper: SymmFlow (arXiv 2506.10634), its segmentation, much smaller than published and with the code
simplex, whose read-out is a posterior for every pixel.
Command: python -m experiments.train --config=configs/pixel_segment_phantom.py
"""

from msflow_jax.config import default_config
from msflow_jax.symmetric.recipes import cpu, segmentation


def get_config():
    """The whole configuration of the run."""
    config = segmentation(cpu(default_config()))
    config.data.name = "phantoms"
    config.data.side = 48
    config.train.update(dict(steps=600, batch=16))
    return config
