"""Graded lesions in head phantoms as volumes of 24 voxels a side, on two cores. No download.

Paper: MedSymmFlow (arXiv 2507.19098), which knows pictures; nothing is published on volumes.
Command: python -m experiments.train --config=configs/volume_phantom.py
The same model on the middle axial slice of each head alone: configs/volume_phantom.py:slice.
Measured, three seeds, 17 minutes each on two cores: test AUC 88.2 +- 0.5, accuracy 63.5 +- 1.0 (96
subjects); :slice 84.3 +- 2.5 and 58.7 +- 3.2. Drawn heads are grey blobs without skull, ventricles or
lesions.
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
    # The subjects of seeds 0 and 1 had been looked at; those of 2 now have been too.
    config.data.seed = 2
    if check_variant(variant, "slice"):
        config.data.dims = 2
        config.data.slices.update(dict(first=0.5, last=0.5))
    return config
