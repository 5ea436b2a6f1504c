"""Which scanner made a brain slice: MAGIC-Flow's classification, by exact likelihoods, at 184 pixels.

Published: accuracy 0.90, balanced accuracy 0.76 on 7 scanners (arXiv 2510.22070; data not public).
Data: a folder of your slices, DIR/train|val|test/SCANNER/*.png.
Command: python -m experiments.train --config=configs/magic_scanner.py --config.data.root=DIR
On two cores: configs/magic_scanner.py:cpu, at 64 pixels. Results of ours: none (no such data).
"""

from msflow_jax.config import default_config
from msflow_jax.coupling.recipes import magic


def get_config(variant: str = ""):
    """The published size, or with ``cpu`` one that two cores train in minutes."""
    config = magic(default_config("coupling"), variant)
    config.data.update(dict(name="folder", channels=1, side=64 if variant else 184))
    config.train.select = "val_accuracy"
    return config
