"""Slices of head phantoms in five modalities: questions on pairs, then drawing. Two cores, no download.

Paper: SynerMedGen (arXiv 2605.08724), much smaller.
Command: python -m experiments.train --config=configs/synermedgen_phantom.py
synermedgen_phantom.py:zero_shot draws without ever having seen pairs; :control asks questions on single
images instead; :permuted, :easy, :no_selection, :no_identification, :no_instruction and :random are
further arms, :unprepared draws from pairs alone, :mixed does both at once. Join them by +, as
:zero_shot+control.
"""

from msflow_jax.synergy.recipes import phantom


def get_config(variant: str = ""):
    """The whole configuration of the run."""
    return phantom(variant)
