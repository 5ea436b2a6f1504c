"""Bijections of images and volumes ``[B, *space, C]``: pure functions, each with its inverse.

Every forward function returns its output and a *share*: log |det| spread over the entries, an array that
broadcasts against the output. Its sum over an image is the log-determinant, and since squeezing and
splitting only move entries, shares can be carried along and read as a map of the likelihood. Where
a log-determinant belongs to no entry (activation norm, 1 x 1 convolution), every channel of a site
gets the same part of it.

Sources: RealNVP (arXiv 1605.08803), Glow (arXiv 1807.03039), MAGIC-Flow (arXiv 2510.22070).
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Params = Any
# Masked entries [B, *space, C] and the number of the pass to raw log-scale and shift of the others, both
# of that shape.
Conditioner = Callable[[jax.Array, int], tuple[jax.Array, jax.Array]]
# Accelerators round the factors of a product by default: the map would not be the one whose inverse and
# determinant are taken.
_EXACT = jax.lax.Precision.HIGHEST
LEAST_SCALE = 1e-4  # of a channel that is constant over the first batch


def actnorm_init(x: jax.Array) -> Params:
    """Parameters after which every channel of this batch has mean 0 and variance 1.

    A constant channel is only centred and scaled by 1 / ``LEAST_SCALE``.
    """
    axes = tuple(range(x.ndim - 1))
    scale = jnp.maximum(x.std(axis=axes), LEAST_SCALE)
    return {"mean": x.mean(axis=axes), "log_scale": jnp.log(scale)}


def actnorm(params: Params, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``(x - mean) exp(-log_scale)`` channel by channel, and its share (a scalar array)."""
    return (x - params["mean"]) * jnp.exp(-params["log_scale"]), -params["log_scale"].mean()


def actnorm_inverse(params: Params, z: jax.Array) -> jax.Array:
    """Inverse of :func:`actnorm`."""
    return z * jnp.exp(params["log_scale"]) + params["mean"]


def channel_order(step: int, channels: int) -> np.ndarray:
    """The fixed permutation of the channels that step ``step`` begins with; part of the architecture."""
    return np.random.default_rng((step, channels)).permutation(channels)


def plu_init(channels: int) -> Params:
    """Parameters of :func:`plu` that only permute."""
    square = jnp.zeros((channels, channels))
    return {"lower": square, "upper": square, "log_diagonal": jnp.zeros(channels)}


def dense_init(order: np.ndarray) -> Params:
    """Parameters of :func:`dense` that only permute the channels, as ``order`` says."""
    return {"matrix": jnp.eye(len(order))[order]}


def _factors(params: Params) -> tuple[jax.Array, jax.Array]:
    unit = jnp.eye(len(params["log_diagonal"]))
    lower = jnp.tril(params["lower"], -1) + unit
    return lower, jnp.triu(params["upper"], 1) + jnp.diag(jnp.exp(params["log_diagonal"]))


def plu(params: Params, order: np.ndarray | jax.Array) -> tuple[jax.Array, jax.Array]:
    """Matrix ``[C, C]`` ``L U P`` of a 1 x 1 convolution (Glow, equation 10) and its share (a scalar).

    ``order`` is the permutation P. The diagonal is ``exp(log_diagonal)``: the matrix is never singular,
    its log-determinant a sum, its inverse that of two triangles.
    """
    lower, upper = _factors(params)
    return _product(_product(lower, upper), _permutation(order)), params["log_diagonal"].mean()


def plu_inverse(params: Params, order: np.ndarray | jax.Array) -> jax.Array:
    """Inverse of the matrix of :func:`plu`."""
    lower, upper = _factors(params)
    inverse = _product(_inverse_triangle(upper.T).T, _inverse_triangle(lower))
    return _product(_permutation(order).T, inverse)


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


def dense(params: Params) -> tuple[jax.Array, jax.Array]:
    """Matrix of a 1 x 1 convolution whose entries are free, ``params["matrix"]``, and its share."""
    matrix = params["matrix"]
    return matrix, jnp.linalg.slogdet(matrix)[1] / len(matrix)


def dense_inverse(params: Params) -> jax.Array:
    """Inverse of the matrix of :func:`dense`; it loses digits as that nears a singular one."""
    return jnp.linalg.inv(params["matrix"])


def mix(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """1 x 1 convolution by ``[C, C]``, or by its inverse."""
    return _product(x, matrix.T)


def _permutation(order: np.ndarray | jax.Array) -> jax.Array:
    """The matrix that takes a column ``x`` to ``x[order]``."""
    return (jnp.asarray(order)[:, None] == jnp.arange(len(order))).astype(jnp.float32)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=_EXACT)


def affine(
    x: jax.Array,
    mask: np.ndarray | jax.Array,
    conditioner: Conditioner,
    bound: float,
    passes: int = 1,
) -> tuple[jax.Array, jax.Array]:
    """Affine coupling: entries outside the mask are scaled and shifted by what those inside say.

    The log-scale is ``bound tanh(raw / bound)``. With two passes (MAGIC-Flow) the mask is then turned
    and the same conditioner used again, so that every entry is moved.

    Args:
      x: ``[B, *space, C]``.
      mask: ``[*space, C]`` of 0 and 1; 1 is what the conditioner sees.
      conditioner: see :data:`Conditioner`.
      bound: largest absolute log-scale of a pass.
      passes: 1 or 2.

    Returns:
      ``(z, share)``, both ``[B, *space, C]``.
    """
    share = jnp.zeros_like(x)
    for number, seen in enumerate(_turns(mask, passes)):
        log_scale, shift = _bounded(conditioner(seen * x, number), bound)
        x = seen * x + (1 - seen) * (x * jnp.exp(log_scale) + shift)
        share += (1 - seen) * log_scale
    return x, share


def affine_inverse(
    z: jax.Array,
    mask: np.ndarray | jax.Array,
    conditioner: Conditioner,
    bound: float,
    passes: int = 1,
) -> jax.Array:
    """Inverse of :func:`affine`."""
    for number, seen in reversed(list(enumerate(_turns(mask, passes)))):
        log_scale, shift = _bounded(conditioner(seen * z, number), bound)
        z = seen * z + (1 - seen) * (z - shift) * jnp.exp(-log_scale)
    return z


def affine_halves(
    x: jax.Array, conditioner: Conditioner, bound: float, passes: int = 1
) -> tuple[jax.Array, jax.Array]:
    """:func:`affine` with the first half of the channels in the place of a mask.

    The conditioner is given that half alone and answers for the other, in arrays of the same shape:
    half the products of a mask, which hides the other half as zeros. A second pass turns them.

    Raises:
      ValueError: an odd number of channels, or ``passes`` that are not 1 or 2.
    """
    seen, moved = _halves(x, passes)
    share = shares = jnp.zeros_like(seen)
    for number in range(passes):
        log_scale, shift = _bounded(conditioner(seen, number), bound)
        seen, moved = moved * jnp.exp(log_scale) + shift, seen
        share, shares = log_scale, share
    halves, parts = [seen, moved], [share, shares]
    if passes == 1:
        halves, parts = halves[::-1], parts[::-1]
    return jnp.concatenate(halves, axis=-1), jnp.concatenate(parts, axis=-1)


def affine_halves_inverse(
    z: jax.Array, conditioner: Conditioner, bound: float, passes: int = 1
) -> jax.Array:
    """Inverse of :func:`affine_halves`."""
    first, second = _halves(z, passes)
    moved, seen = (second, first) if passes == 1 else (first, second)
    for number in reversed(range(passes)):
        log_scale, shift = _bounded(conditioner(seen, number), bound)
        moved, seen = seen, (moved - shift) * jnp.exp(-log_scale)
    return jnp.concatenate([moved, seen], axis=-1)


def _halves(x: jax.Array, passes: int) -> list[jax.Array]:
    if passes not in (1, 2):
        raise ValueError(f"a coupling has 1 or 2 passes, not {passes}")
    if x.shape[-1] % 2:
        raise ValueError(f"{x.shape[-1]} channels have no halves: squeeze first")
    return jnp.split(x, 2, axis=-1)


def _turns(mask: np.ndarray | jax.Array, passes: int) -> list[jax.Array]:
    if passes not in (1, 2):
        raise ValueError(f"a coupling has 1 or 2 passes, not {passes}")
    seen = jnp.asarray(mask)
    return [seen, 1 - seen][:passes]


def _bounded(outputs: tuple[jax.Array, jax.Array], bound: float) -> tuple[jax.Array, jax.Array]:
    raw, shift = outputs
    return bound * jnp.tanh(raw / bound), shift


def squeeze(x: jax.Array) -> jax.Array:
    """Halves every side of ``[B, *space, C]`` and puts each 2 x ... x 2 block into channels.

    Channel ``c`` of the block's corner ``k`` (last axis fastest) becomes ``k C + c``. log-det 0.

    Raises:
      ValueError: an odd side.
    """
    batch, *space, channels = x.shape
    if any(side % 2 for side in space):
        raise ValueError(f"only even sides can be squeezed, got {tuple(space)}")
    n = len(space)
    cut = x.reshape(batch, *(s for side in space for s in (side // 2, 2)), channels)
    sides, corners = range(1, 2 * n + 1, 2), range(2, 2 * n + 2, 2)
    moved = cut.transpose(0, *sides, *corners, 2 * n + 1)
    return moved.reshape(batch, *(side // 2 for side in space), 2**n * channels)


def unsqueeze(z: jax.Array) -> jax.Array:
    """Inverse of :func:`squeeze`.

    Raises:
      ValueError: channels that a block's corners do not divide.
    """
    batch, *space, channels = z.shape
    n = len(space)
    if channels % 2**n:
        raise ValueError(f"{channels} channels are no squeezed ones: {2**n} must divide them")
    cut = z.reshape(batch, *space, *(2,) * n, channels // 2**n)
    pairs = (axis for i in range(n) for axis in (1 + i, 1 + n + i))
    moved = cut.transpose(0, *pairs, 2 * n + 1)
    return moved.reshape(batch, *(2 * side for side in space), channels // 2**n)


def dequantise(images: jax.Array, noise: jax.Array, bits: int = 8) -> tuple[jax.Array, jax.Array]:
    """Integers in [0, 2^bits) with noise in [0, 1), as floats in [-1, 1), and the share (a scalar).

    ``x = 2 (v + noise) / 2^bits - 1``: the log-density of x and the share, averaged over uniform noise,
    bound the log-probability of v from below.
    """
    return (images + noise) * (2 / 2**bits) - 1, jnp.log(jnp.asarray(2 / 2**bits))


def quantise(x: jax.Array, bits: int = 8) -> jax.Array:
    """The integers that :func:`dequantise` made ``x`` of; values outside are clipped."""
    return jnp.clip(jnp.floor((x + 1) * (2**bits / 2)), 0, 2**bits - 1).astype(jnp.int32)


def logit(x: jax.Array, margin: float = 0.05) -> tuple[jax.Array, jax.Array]:
    """Values in [-1, 1] to the whole line, ``logit(margin + (1 - 2 margin)(x + 1) / 2)``; its share.

    RealNVP, section 4.1. ``margin`` keeps the ends finite.
    """
    p = margin + (1 - 2 * margin) * (x + 1) / 2
    share = math.log((1 - 2 * margin) / 2) - jnp.log(p) - jnp.log1p(-p)
    return jnp.log(p) - jnp.log1p(-p), share


def logit_inverse(z: jax.Array, margin: float = 0.05) -> jax.Array:
    """Inverse of :func:`logit`."""
    return 2 * (jax.nn.sigmoid(z) - margin) / (1 - 2 * margin) - 1


def normal_share(z: jax.Array, mean: Any = 0.0, log_scale: Any = 0.0) -> jax.Array:
    """Log-density of every entry under a normal distribution, standard by default."""
    standard = (z - mean) * jnp.exp(-jnp.asarray(log_scale))
    return -0.5 * (standard**2 + math.log(2 * math.pi)) - log_scale


def bits_per_dimension(log_prob: jax.Array, dimensions: int) -> jax.Array:
    """Nats per image (dequantisation's share included) to bits for each of its entries."""
    return -log_prob / (dimensions * math.log(2))
