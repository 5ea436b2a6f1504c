"""BloodMNIST at 28 pixels, read and drawn by one symmetric flow in pixel space.

Published: MSF (arXiv 2507.19098): AUC 99.4 +- 0.1, accuracy 97.9 +- 0.2.
Command: python -m experiments.train --config=configs/pixel_blood.py --config.data.root=FOLDER
On two cores: configs/pixel_blood.py:cpu. Training set: 11,959 images.
Results of ours: none at the published size yet (not run); the README says what was measured.
"""

from msflow_jax.config import default_config
from msflow_jax.symmetric.recipes import cpu


def get_config(variant: str = ""):
    """The published size, or with ``cpu`` one that two cores train in minutes."""
    config = default_config()
    config.data.name = "bloodmnist"
    config.model.resize = 32
    return cpu(config, variant)
