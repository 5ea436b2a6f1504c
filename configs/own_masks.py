"""Your own images with masks: a class for each pixel, learned from folders images/ and masks/.

Paper: SymmFlow (arXiv 2506.10634), its segmentation, with the code simplex.
Command: python -m experiments.train --config=configs/own_masks.py --config.data.root=FOLDER
FOLDER holds images/ and masks/ with files of equal names, or train/, test/ and maybe val/ with both in
each; docs/segmentation.md. :cpu takes a network for a few CPU cores.
"""

from msflow_jax.config import default_config
from msflow_jax.symmetric.recipes import cpu, segmentation


def get_config(variant: str = ""):
    """Masks at 64 pixels a side; ``cpu`` takes fewer and smaller steps."""
    config = segmentation(cpu(default_config(), variant))
    config.data.name = "masks"
    config.data.side = 64
    config.train.update(dict(epochs=0.0, steps=20_000))
    if variant:
        config.train.update(dict(batch=16, steps=1000))
    return config
