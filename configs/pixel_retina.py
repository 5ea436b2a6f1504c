"""RetinaMNIST at 28 pixels, read and drawn by one symmetric flow in pixel space.

Published: MSF (arXiv 2507.19098): AUC 73.1 +- 0.4, accuracy 51.4 +- 2.1.
Command: python -m experiments.train --config=configs/pixel_retina.py --config.data.root=FOLDER
On two cores: configs/pixel_retina.py:cpu. Training set: 1,080 images.
Results of ours: none at the published size (not run). With :cpu, 3 seeds: test AUC 73.1 +- 0.9,
accuracy 53.4 +- 0.4 (README).
"""

from msflow_jax.config import default_config
from msflow_jax.symmetric.recipes import cpu


def get_config(variant: str = ""):
    """The published size, or with ``cpu`` one that two cores train in minutes."""
    config = default_config()
    config.data.name = "retinamnist"
    config.model.resize = 32
    return cpu(config, variant)
