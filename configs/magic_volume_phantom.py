"""Which of seven simulated scanners made a head phantom's volume: by exact likelihoods. No download.

Paper: MAGIC-Flow (arXiv 2510.22070) has slices only, and leaves volumes open: nothing published.
Command: python -m experiments.train --config=configs/magic_volume_phantom.py
On two cores: configs/magic_volume_phantom.py:cpu.
"""

from msflow_jax.config import default_config
from msflow_jax.coupling.recipes import magic_volume


def get_config(variant: str = ""):
    """The published layout on 64^3 voxels, or with ``cpu`` a smaller flow on 24^3."""
    config = magic_volume(default_config("coupling"), variant)
    config.data.update(dict(name="phantoms", dims=3, side=24 if variant else 64))
    config.data.phantoms.task = "scanner"
    config.train.select = "val_accuracy"
    config.train.steps = 1500 if variant else 0
    return config
