"""Flows that compile in seconds, and what they are fed."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.coupling.model import CouplingFlow
from msflow_jax.nets.convolution import Conv
from msflow_jax.nets.layers import Dense

LABELS = jnp.array([0, 1, 2, 1])


class Plain(nn.Module):
    """One hidden convolution that sees the class."""

    classes: int
    widths: tuple[int, ...] = (8,)

    @nn.compact
    def __call__(self, x, labels, train=False):
        width = self.widths[0]
        given = Dense(width, name="label")(jax.nn.one_hot(labels, self.classes))
        h = Conv(width, name="in")(x) + given.reshape(len(x), *(1,) * (x.ndim - 2), width)
        return jnp.split(Conv(2 * x.shape[-1], name="out_zero")(nn.tanh(h)), 2, axis=-1)


def plain_flow(dims=2, shape=None, classes=("a", "b", "c"), **settings):
    """Steps at full resolution, on squeezed channels and behind a split."""
    layout = "checkerboard:1 squeeze channel:1 split checkerboard:1"
    shape = shape or {2: (4, 4, 1), 3: (2, 2, 4, 1)}[dims]
    return CouplingFlow(Plain(len(classes)), classes, shape, **{"layout": layout, **settings})


def shaken(flow, seed=0, size=0.03):
    """Fresh parameters moved at random: no coupling is the identity, no mixture a permutation."""
    return move(flow.init(jax.random.key(seed)), seed, size)


def move(params, seed, size):
    rng = np.random.default_rng(seed)

    def moved(a):  # in numpy: each operation of JAX would be compiled for each shape
        return jnp.asarray(np.asarray(a) + rng.normal(0, size, a.shape).astype(np.float32))

    return jax.tree.map(moved, params)


def images(flow, count=4, seed=1):
    shape = (count, *flow.shape)
    return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, shape), jnp.float32)


def eight_bit(flow, count=4, seed=1):
    """Images of 256 equally spaced values in [-1, 1]."""
    return jnp.round((images(flow, count, seed) + 1) * 127.5) / 127.5 - 1
