"""Your own examinations: columns of a table, or a folder in the BIDS layout, with or without reports.

Paper: MedM2G (arXiv 2403.04290).
Command: python -m experiments.train --config=configs/medm2g_cohort.py --config.data.root=TABLE.csv \
--config.model.modalities=report,ct,t1w
Without reports: --config.model.modalities=t1w,t2w; each attaches to the one before it, unless
--config.model.links=t2w-t1w says otherwise.
In the latents of an autoencoder (docs/latent.md): --config.model.latent.autoencoder=FOLDER, of single
modalities ct=FOLDER,t1w=OTHER; without weights from elsewhere: patches.
"""

from msflow_jax.diffusers.recipes import cohort


def get_config():
    """The whole configuration of the run."""
    return cohort()
