"""A model of four modalities that compiles in seconds, and what it is fed."""

from functools import cache

import jax
import numpy as np

from msflow_jax.config import default_config
from msflow_jax.data import Info, Modality, Splits
from msflow_jax.synergy.family import FAMILY
from msflow_jax.synergy.parts import prepare
from tests.synergy.cohorts import NAMES, cohort

SIDE = 8


def config(**model):
    """A small configuration of the family."""
    found = default_config("synergy")
    with found.unlocked():
        found.model.modalities = NAMES
        found.model.tasks.instances = 24
        found.model.tasks.scenes = 8
        found.model.encoder.update(features=4, width=8, patch=2, look=6, look_width=4)
        found.model.expert.update(width=16, depth=2, heads=2, pairs=1, size=8, hidden=24)
        found.model.update(patch=2, pooled=2)
        found.train.update(batch=4, steps=2, eval_every=2, writers=())
        found.sample.translate.update(draws=2, steps=2)
        found.sample.answer.count = 16
        found.model.update(model)
    return found


@cache
def splits(side=SIDE):
    """Three cohorts of a few subjects."""
    info = Info(
        name="phantom_cohort", classes=("a", "b"), channels=1, side=side, task="binary-class",
        licence="", md5="", source="tests", flips=(),
        modalities={name: Modality("image", (side, side, 1)) for name in NAMES},
    )  # fmt: skip
    return Splits(*(cohort(subjects=3, side=side, seed=seed) for seed in range(3)), info)


@cache
def parts():
    """The parts of :func:`config`."""
    return prepare(config(), splits())


def model(**changes):
    """The model of a configuration."""
    return FAMILY.build(config(**changes), splits().info, parts())


@cache
def params(seed=0, size=0.05):
    """Fresh parameters, moved at random so that no output layer is zero."""
    tree = model().init(jax.random.key(seed))
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda a: np.asarray(a) + rng.normal(0, size, a.shape).astype(np.float32), tree
    )


def images(count=3, seed=0, side=SIDE):
    """Images ``[B, side, side, 1]`` in [-1, 1]."""
    return np.random.default_rng(seed).uniform(-1, 1, (count, side, side, 1)).astype(np.float32)


def batch(arm="aligned", count=12):
    """Questions as a loss gets them."""
    from msflow_jax.data.batches import to_loss

    asked = parts().ask(config(), splits().train, count, arm=arm)
    return to_loss(asked.arrays(), asked.modalities)
