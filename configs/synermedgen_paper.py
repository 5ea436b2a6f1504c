"""The sizes of SynerMedGen's base, BAGEL-7B: two experts of 7 B parameters. Nobody has trained it.

Paper: SynerMedGen (arXiv 2605.08724), BAGEL (arXiv 2505.14683).
Command: python -m experiments.train --config=configs/synermedgen_paper.py --config.data.root=TABLE.csv
"""

from msflow_jax.synergy.recipes import paper


def get_config():
    """The whole configuration of the run."""
    return paper()
