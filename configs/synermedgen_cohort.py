"""Your own registered examinations: columns of a table, or a folder in the BIDS layout.

Paper: SynerMedGen (arXiv 2605.08724).
Command: python -m experiments.train --config=configs/synermedgen_cohort.py \
--config.data.root=TABLE.csv --config.model.modalities="('t1w','t2w','ct')"
"""

from msflow_jax.synergy.recipes import cohort


def get_config():
    """The whole configuration of the run."""
    return cohort()
