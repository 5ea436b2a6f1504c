"""Graded lesions in head phantoms as volumes of 24 voxels a side, on two cores. No download.

Paper: MedSymmFlow (arXiv 2507.19098), which knows pictures; nothing is published on volumes.
Command: python -m experiments.train --config=configs/volume_phantom.py
The same model on the middle axial slice of each head alone: configs/volume_phantom.py:slice.
Measured, one seed: with 2000 steps on another cohort (data.seed=1) validation AUC 84.7, test AUC 88.3,
accuracy 61.5, in 22.6 minutes of two cores; drawn heads are noisy and have no skull. :slice, 2000 steps,
validation AUC 86.4, accuracy 62.5 (data.seed=0), where volumes have 90.8 and 70.8 on a GPU. Whether
volumes beat their slices over three seeds is not measured, nor these 1750 steps.
"""

from msflow_jax.config import check_variant, default_config
from msflow_jax.symmetric.recipes import volume


def get_config(variant: str = ""):
    """FLAIR volumes, or with ``slice`` their middle slices."""
    config = volume(default_config(), "cpu")
    config.data.name = "phantom_cohort"
    config.data.modality = "flair"
    config.data.side = 24
    # Chosen on validation splits: more of each batch for classification, which starts late.
    config.model.time.classification_fraction = 0.75
    config.train.update(dict(steps=1500, eval_every=250, shift=1))
    # The subjects of seeds 0 and 1 have been looked at.
    config.data.seed = 2
    if check_variant(variant, "slice"):
        config.data.dims = 2
        config.data.slices.update(dict(first=0.5, last=0.5))
    return config
