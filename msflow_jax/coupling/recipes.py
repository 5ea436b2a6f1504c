"""Recipes of coupling flows that several configurations share."""

from ml_collections import ConfigDict

from msflow_jax.config import check_variant
from msflow_jax.coupling.family import conditioner_settings
from msflow_jax.coupling.layout import PUBLISHED


def magic(config: ConfigDict, variant: str = "") -> ConfigDict:
    """MAGIC-Flow (arXiv 2510.22070) at its published size: 24 steps of two passes, layout and widths.

    With ``cpu``: 36 steps on halves of the channels, Glow's conditioners of width 64, learned priors.

    Raises:
        ValueError: any other variant.
    """
    small = check_variant(variant)
    config.train.update(dict(epochs=300.0, batch=16, learning_rate=1e-3, warmup=0.02, ema=0.99))
    config.train.update(dict(shift=2, eval_every=200))
    config.sample.classify.draws = 1
    config.sample.batch = 16
    if not small:
        config.model.layout = PUBLISHED
        config.model.conditioner = conditioner_settings("classification")
        config.model.conditioner.dense = True
        return config
    layout = "squeeze half:12 split squeeze half:24"
    config.model.update(dict(layout=layout, passes=1, split_prior="learned"))
    config.model.conditioner = conditioner_settings("convolutional")
    config.model.conditioner.width = 64
    config.train.update(dict(epochs=0.0, steps=2000, batch=32, shift=1, log_every=10))
    config.sample.batch = 64
    return config


def magic_volume(config: ConfigDict, variant: str = "") -> ConfigDict:
    """The same of volumes, which the paper leaves open: MAGIC-Flow's widths, or ``cpu``.

    The published layout recomputes its steps in the backward pass: of 24, inverting them would save no
    more. It has no dense head, which would hold a weight for every voxel, step and hidden feature.

    Raises:
        ValueError: any other variant.
    """
    small = check_variant(variant)
    magic(config, variant)
    config.train.update(dict(batch=8, shift=1))
    config.sample.batch = 8
    if small:
        config.model.layout = "squeeze half:8 split squeeze half:16"
        config.model.conditioner.width = 32
    else:
        config.model.remat = True
        config.model.conditioner.dense = False
    return config
