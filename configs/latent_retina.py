"""RetinaMNIST at 224 pixels in latent space: read and drawn by one symmetric flow.

Published: LatMSF (arXiv 2507.19098): AUC 78.8 +- 0.4, accuracy 54.0 +- 0.9.
First: python tools/convert_vae.py stabilityai/sd-vae-ft-mse autoencoders/sd-vae-ft-mse
Command: python -m experiments.train --config=configs/latent_retina.py --config.data.root=FOLDER
On two cores: configs/latent_retina.py:cpu, with a tiny autoencoder (docs/latent.md).
Training set: 1,080 images. Results of ours: none at the published size (not run). With :cpu,
three seeds: test AUC 74.5 +- 1.5, accuracy 51.8 +- 0.4 (docs/latent.md).
"""

from msflow_jax.config import default_config
from msflow_jax.symmetric.recipes import latent


def get_config(variant: str = ""):
    """The published size, or with ``cpu`` one that two cores train in minutes."""
    config = default_config()
    config.data.name = "retinamnist"
    return latent(config, variant)
