"""DermaMNIST at 28 pixels, read and drawn by one symmetric flow in pixel space.

Published: MSF (arXiv 2507.19098): AUC 89.6 +- 0.5, accuracy 78.8 +- 0.8.
Command: python -m experiments.train --config=configs/pixel_derma.py --config.data.root=FOLDER
On two cores: configs/pixel_derma.py:cpu. Training set: 7,007 images.
Results of ours: none at the published size yet (not run); the README says what was measured.
"""

from msflow_jax.config import default_config
from msflow_jax.symmetric.recipes import cpu


def get_config(variant: str = ""):
    """The published size, or with ``cpu`` one that two cores train in minutes."""
    config = default_config()
    config.data.name = "dermamnist"
    config.model.resize = 32
    return cpu(config, variant)
