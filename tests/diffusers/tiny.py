"""A model of four modalities that compiles in seconds, and what it is fed."""

from functools import cache

import jax
import numpy as np

from msflow_jax.config import default_config
from msflow_jax.diffusers.family import FAMILY
from msflow_jax.diffusers.parts import prepare
from tests.paired.tiny import REPORTS, SIDE, split, splits

__all__ = ["REPORTS", "SIDE", "config", "gated", "model", "params", "split", "splits"]


def config(**model):
    """A small configuration of the family."""
    found = default_config("diffusers")
    with found.unlocked():
        found.model.modalities = ("report", "xray", "ct", "t1w")
        found.model.links = ("xray-report", "ct-report", "t1w-ct")
        found.model.net.update(width=16, depth=1, patch=2, head_channels=8)
        found.model.align.update(width=4, features=8, views=8)
        found.model.text.update(side=2, latent=4, width=16, depth=1)
        found.model.context.update(width=4, features=8, side=2)
        found.train.update(batch=4, steps=2, eval_every=2, writers=())
        found.sample.translate.update(draws=2, steps=2)
        found.model.update(model)
    return found


@cache
def model(**changes):
    """The model of :func:`config`, and its parts."""
    chosen, data = config(**changes), splits()
    parts = prepare(chosen.model, data)
    return FAMILY.build(chosen, data.info, parts), parts


def params(of=None, seed=0, size=0.0):
    """Fresh parameters of a model, moved at random so that no gate is shut."""
    tree = (of or model()[0]).init(jax.random.key(seed))
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda a: np.asarray(a) + rng.normal(0, size, a.shape).astype(np.float32), tree
    )


def gated(params, value):
    """The parameters with the output layers of all guides, their gates, times a value."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: (
            value * leaf if "guide" in str(path) and "out_zero" in str(path) else leaf
        ),
        params,
    )
