"""Text, X-ray, CT and MR of head phantoms, drawn from one another, on two cores. No download.

Paper: MedM2G (arXiv 2403.04290), much smaller; its sizes are not published. Training subjects are of
three disjoint sets: text and X-ray, text and CT, CT and MR; test subjects have everything.
Command: python -m experiments.train --config=configs/medm2g_phantom.py
"""

from msflow_jax.diffusers.recipes import phantom


def get_config():
    """The whole configuration of the run."""
    return phantom()
