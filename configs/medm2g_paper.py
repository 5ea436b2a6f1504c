"""MedM2G at the size of CoDi, its base: 256 pixels, in the latents of Stable Diffusion's autoencoder.

Paper: MedM2G (arXiv 2403.04290); its own sizes are not published, and this one was never trained.
First: python tools/convert_vae.py stabilityai/sd-vae-ft-mse autoencoders/sd-vae-ft-mse
Command: python -m experiments.train --config=configs/medm2g_paper.py --config.data.root=TABLE.csv \
--config.model.modalities="('report','ct','t1w')" --config.model.links="('ct-report','t1w-ct')"
"""

from msflow_jax.diffusers.recipes import paper


def get_config():
    """The whole configuration of the run."""
    return paper()
