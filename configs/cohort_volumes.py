"""Your cohort (a table, or a folder in the BIDS layout), classified and drawn as whole volumes.

Paper: MedSymmFlow (arXiv 2507.19098), which knows pictures; nothing is published on your volumes.
Command: python -m experiments.train --config=configs/cohort_volumes.py --config.data.root=TABLE.csv
--config.data.modality=t1w says which column is the image. Volumes become cubes of 64 voxels a side
(data.side, data.fit), with :cpu of 24.
Its time on two cores is not measured; an evaluation draws 64 volumes of each class in 25 steps. For a
first try: --config.train.steps=200 --config.sample.classify.draws=2
--config.sample.generate.per_class=4 --config.sample.generate.steps=10
"""

from msflow_jax.config import default_config
from msflow_jax.symmetric.recipes import cpu


def get_config(variant: str = ""):
    """A symmetric flow in voxels."""
    config = cpu(default_config(), variant)
    config.data.name = "cohort"
    config.data.dims = 3
    config.data.side = 24 if variant else 64
    config.train.batch = 16 if variant else 8
    return config
