"""Bijections of the channels, the same at every site: activation norm and 1 x 1 convolutions.

A 1 x 1 convolution gives its matrices apart from their product with the image: a run of steps computes
all of them ahead of its loop, where small matrices cost less than inside.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.coupling.bijections import Bijection, Mapped, Params
from msflow_jax.nets.ops import per_channel

# Accelerators round the factors of a product by default: the map would not be the one whose inverse and
# determinant are taken.
_EXACT = jax.lax.Precision.HIGHEST
MIN_SCALE = 1e-4  # of a channel that is constant over the first batch


@dataclass(frozen=True)
class ActNorm:
    """``(x - mean) exp(-log_scale)`` channel by channel; the log-determinant is a scalar array.

    Attributes:
        channels: number of channels C.
    """

    channels: int

    def init(self, key: jax.Array) -> Params:
        """Parameters of the identity."""
        return {"mean": jnp.zeros(self.channels), "log_scale": jnp.zeros(self.channels)}

    def fit(self, x: jax.Array) -> Params:
        """Parameters after which every channel of this batch has mean 0 and variance 1.

        A constant channel is only centred and scaled by 1 / ``MIN_SCALE``.
        """
        _check_channels(x, self.channels)
        axes = tuple(range(x.ndim - 1))
        scale = jnp.maximum(x.std(axis=axes), MIN_SCALE)
        return {"mean": x.mean(axis=axes), "log_scale": jnp.log(scale)}

    def forward(self, params: Params, x: jax.Array, context: Any = None) -> Mapped:
        """See :class:`Bijection`."""
        _check_channels(x, self.channels)
        mean, log_scale = (per_channel(params[name], x) for name in ("mean", "log_scale"))
        return (x - mean) * jnp.exp(-log_scale), -params["log_scale"].mean()

    def inverse(self, params: Params, z: jax.Array, context: Any = None) -> Mapped:
        """See :class:`Bijection`."""
        _check_channels(z, self.channels)
        mean, log_scale = (per_channel(params[name], z) for name in ("mean", "log_scale"))
        return z * jnp.exp(log_scale) + mean, params["log_scale"].mean()


class Mixing(Bijection, Protocol):
    """A 1 x 1 convolution, by its matrices ``[C, C]``; ``order`` is the permutation it starts from."""

    order: np.ndarray | jax.Array

    def init(self, key: jax.Array) -> Params:
        """Parameters that only permute the channels, as ``order`` says."""

    def matrix(self, params: Params) -> jax.Array:
        """Matrix of the forward map."""
        raise NotImplementedError

    def inverse_matrix(self, params: Params) -> jax.Array:
        """Matrix of the inverse map."""
        raise NotImplementedError

    def log_det(self, params: Params) -> jax.Array:
        """Forward log-determinant of a site over its channels: the part of each, a scalar array."""
        raise NotImplementedError

    def forward(self, params: Params, x: jax.Array, context: Any = None) -> Mapped:
        """See :class:`Bijection`."""
        return mix(x, self.matrix(params)), self.log_det(params)

    def inverse(self, params: Params, z: jax.Array, context: Any = None) -> Mapped:
        """See :class:`Bijection`."""
        return mix(z, self.inverse_matrix(params)), -self.log_det(params)


@dataclass(frozen=True)
class PLU(Mixing):
    """Matrix ``L U P`` (Glow, equation 10), never singular: its diagonal is ``exp(log_diagonal)``.

    Its log-determinant is a sum, its inverse that of two triangles.

    Attributes:
        order: the permutation P ``[C]``.
    """

    order: np.ndarray | jax.Array

    def init(self, key: jax.Array) -> Params:
        """Parameters that only permute the channels, as ``order`` says."""
        channels = len(self.order)
        square = jnp.zeros((channels, channels))
        return {"lower": square, "upper": square, "log_diagonal": jnp.zeros(channels)}

    def matrix(self, params: Params) -> jax.Array:
        """Matrix of the forward map."""
        lower, upper = _factors(params)
        return _product(_product(lower, upper), _permutation(self.order))

    def inverse_matrix(self, params: Params) -> jax.Array:
        """Matrix of the inverse map."""
        lower, upper = _factors(params)
        inverse = _product(_inverse_triangle(upper.T).T, _inverse_triangle(lower))
        return _product(_permutation(self.order).T, inverse)

    def log_det(self, params: Params) -> jax.Array:
        """Forward log-determinant of a site over its channels, a scalar array."""
        return params["log_diagonal"].mean()


@dataclass(frozen=True)
class Dense(Mixing):
    """A matrix whose entries are free; its inverse loses digits as it nears a singular one.

    Attributes:
        order: the permutation ``[C]`` that it starts from.
    """

    order: np.ndarray | jax.Array

    def init(self, key: jax.Array) -> Params:
        """Parameters that only permute the channels, as ``order`` says."""
        return {"matrix": jnp.eye(len(self.order))[self.order]}

    def matrix(self, params: Params) -> jax.Array:
        """Matrix of the forward map."""
        return params["matrix"]

    def inverse_matrix(self, params: Params) -> jax.Array:
        """Matrix of the inverse map."""
        return jnp.linalg.inv(params["matrix"])

    def log_det(self, params: Params) -> jax.Array:
        """Forward log-determinant of a site over its channels, a scalar array."""
        return jnp.linalg.slogdet(params["matrix"])[1] / len(params["matrix"])


MIXINGS: dict[str, type[PLU] | type[Dense]] = {"plu": PLU, "dense": Dense}


def channel_order(step: int, channels: int) -> np.ndarray:
    """The fixed permutation of the channels that step ``step`` begins with; part of the architecture."""
    return np.random.default_rng((step, channels)).permutation(channels)


def mix(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """1 x 1 convolution by ``[C, C]``.

    Raises:
        ValueError: an image of another number of channels.
    """
    _check_channels(x, len(matrix))
    return _product(x, matrix.T)


def _check_channels(x: jax.Array, channels: int) -> None:
    if x.shape[-1] != channels:
        raise ValueError(f"a bijection of {channels} channels cannot map entries {x.shape}")


def _factors(params: Params) -> tuple[jax.Array, jax.Array]:
    unit = jnp.eye(len(params["log_diagonal"]))
    lower = jnp.tril(params["lower"], -1) + unit
    return lower, jnp.triu(params["upper"], 1) + jnp.diag(jnp.exp(params["log_diagonal"]))


def _inverse_triangle(matrix: jax.Array) -> jax.Array:
    """Inverse of a lower triangle ``[C, C]`` by blocks of 1, 2, 4 ... rows.

    In products alone: LAPACK's threads, spinning between such small solves, would cost a flow on CPU as
    much as all its convolutions.
    """
    count = len(matrix)
    size = 1 << (count - 1).bit_length()
    whole = jnp.eye(size).at[:count, :count].set(matrix)
    inverse = 1 / jnp.diagonal(whole)[:, None, None]  # of the blocks on the diagonal
    while len(inverse) > 1:
        first, last = inverse[::2], inverse[1::2]
        pairs, side = first.shape[:2]
        each = np.arange(pairs)
        below = whole.reshape(pairs, 2 * side, pairs, 2 * side)[each, side:, each, :side]
        corner = -_product(_product(last, below), first)
        rows = [jnp.concatenate([first, jnp.zeros_like(first)], axis=-1)]
        rows.append(jnp.concatenate([corner, last], axis=-1))
        inverse = jnp.concatenate(rows, axis=-2)
    return inverse[0, :count, :count]


def _permutation(order: np.ndarray | jax.Array) -> jax.Array:
    """The matrix that takes a column ``x`` to ``x[order]``."""
    return (jnp.asarray(order)[:, None] == jnp.arange(len(order))[None]).astype(jnp.float32)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=_EXACT)
