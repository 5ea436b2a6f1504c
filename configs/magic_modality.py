"""Brain slices of a modality: MAGIC-Flow's generation, by exact likelihoods, at 184 pixels.

Published: FIDRad 0.98 on 6 modalities (arXiv 2510.22070; data not public).
Data: a folder of your slices, DIR/train|val|test/MODALITY/*.png.
Command: python -m experiments.train --config=configs/magic_modality.py --config.data.root=DIR
On two cores: configs/magic_modality.py:cpu, at 64 pixels. Results of ours: none (no such data).
"""

from msflow_jax.config import default_config
from msflow_jax.coupling.family import conditioner_settings
from msflow_jax.coupling.recipes import magic


def get_config(variant: str = ""):
    """The published size, or with ``cpu`` one that two cores train in minutes."""
    config = magic(default_config("coupling"), variant)
    config.data.update(dict(name="folder", channels=1, side=64 if variant else 184))
    config.train.select = "-val_bits"
    if not variant:
        config.model.conditioner = conditioner_settings("generation")
        config.train.update(dict(batch=8, learning_rate=4e-4))
        config.sample.batch = 8
    return config
