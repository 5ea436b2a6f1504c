"""BreastMNIST at 28 pixels, read and drawn by one symmetric flow in pixel space.

Published: MedMNIST's ResNet-18 (28) AUC 90.1, accuracy 86.3; nothing of MedSymmFlow's.
Command: python -m experiments.train --config=configs/pixel_breast.py --config.data.root=FOLDER
On two cores: configs/pixel_breast.py:cpu. Training set: 546 images.
Results of ours: none at the published size (not run). With :cpu, 3 seeds: test AUC 88.8 +- 0.8,
accuracy 85.7 +- 1.0 (README).
"""

from msflow_jax.config import default_config
from msflow_jax.symmetric.recipes import cpu


def get_config(variant: str = ""):
    """The published size, or with ``cpu`` one that two cores train in minutes."""
    config = default_config()
    config.data.name = "breastmnist"
    config.model.resize = 32
    return cpu(config, variant)
