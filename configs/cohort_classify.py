"""Your cohort (a table, or a folder in the BIDS layout), classified and drawn slice by slice.

Paper: MedSymmFlow (arXiv 2507.19098), which knows single pictures; nothing is published on yours.
Command: python -m experiments.train --config=configs/cohort_classify.py --config.data.root=TABLE.csv
--config.data.modality=t1w says which column is the image. Slices are 5 mm apart, from the middle half of
the axis (data.slices); :cpu is the size for two cores.
"""

from msflow_jax.config import default_config
from msflow_jax.symmetric.recipes import cpu


def get_config(variant: str = ""):
    """A symmetric flow in pixels of axial slices; all slices of a subject are in one split."""
    config = cpu(default_config(), variant)
    config.data.name = "cohort"
    config.data.side = 32 if variant else 64
    config.data.slices.update(dict(first=0.25, last=0.75, spacing=5.0))
    return config
