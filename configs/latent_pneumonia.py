"""PneumoniaMNIST at 224 pixels in latent space: read and drawn by one symmetric flow.

Published: LatMSF (arXiv 2507.19098): AUC 94.4 +- 1.7, accuracy 89.4 +- 1.1.
First: python tools/convert_vae.py stabilityai/sd-vae-ft-mse autoencoders/sd-vae-ft-mse
Command: python -m experiments.train --config=configs/latent_pneumonia.py --config.data.root=FOLDER
On two cores: configs/latent_pneumonia.py:cpu, with a tiny autoencoder (docs/latent.md).
Training set: 4,708 images. Results of ours: none (not run).
"""

from msflow_jax.config import default_config
from msflow_jax.symmetric.recipes import latent


def get_config(variant: str = ""):
    """The published size, or with ``cpu`` one that two cores train in minutes."""
    config = default_config()
    config.data.name = "pneumoniamnist"
    return latent(config, variant)
