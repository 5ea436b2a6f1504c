"""Convolutions as XLA is fast at them, of ``[B, *space, C]`` with two or three axes of space."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

_LAYOUTS = {2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


def convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: Any) -> jax.Array:
    """Convolution of ``[B, *space, C]`` by ``[*taps, C, F]``.

    Args:
        x: pictures or volumes.
        kernel: its taps along each axis of space.
        stride: step along every axis.
        padding: zeros before and behind, a pair for each axis.
    """
    n = x.ndim - 2
    if n == 3 and jax.default_backend() == "cpu":
        return convolve_planes(x, kernel, stride, padding)
    return lax.conv_general_dilated(
        x, kernel, (stride,) * n, padding, dimension_numbers=_LAYOUTS[n]
    )


def convolve_planes(x: jax.Array, kernel: jax.Array, stride: int, padding: Any) -> jax.Array:
    """:func:`convolve` of volumes as one 2-D convolution of their planes.

    XLA's 3-D convolution on CPU takes 2 to 8 times as long, forwards and backwards, since its fast
    routine is for two dimensions (``benchmarks/conv3d.py``).
    """
    (before, behind), *rest = padding
    (batch, depth), (taps, features) = x.shape[:2], (kernel.shape[0], kernel.shape[-1])
    last = depth + before + behind - taps  # first plane under the last position of the kernel
    if stride == 1:
        # Every tap of every plane, then the planes' sums: backwards only x itself is kept.
        wide = jnp.moveaxis(kernel, 0, -2)
        wide = wide.reshape(*wide.shape[:3], taps * features)
        y = convolve(x.reshape(-1, *x.shape[2:]), wide, 1, rest)
        y = y.reshape(batch, depth, *y.shape[1:-1], taps, features)
        y = jnp.pad(y, ((0, 0), (before, behind), *((0, 0),) * 4))
        return (
            sum(y[:, t : t + last + 1, :, :, t] for t in range(1, taps)) + y[:, : last + 1, :, :, 0]
        )
    y = convolve(*neighbours_as_channels(x, kernel, stride, 1, (before, behind)), stride, rest)
    return y.reshape(batch, -1, *y.shape[1:])


def neighbours_as_channels(
    x: jax.Array, kernel: jax.Array, stride: int, dilation: int, padding: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
    """A volume's convolution as one of pictures: the planes that the taps see stand in the channels.

    Args:
        x: ``[B, D, H, W, C]``.
        kernel: ``[*taps, C, F]``.
        stride: step from plane to plane.
        dilation: spacing of the taps.
        padding: planes of zeros before and behind.

    Returns:
        Pictures ``[B * planes, H, W, taps * C]`` and their kernel.
    """
    taps = kernel.shape[0]
    last = x.shape[1] + sum(padding) - dilation * (taps - 1)  # one behind the last first plane
    padded = jnp.pad(x, ((0, 0), padding, *((0, 0),) * 3))
    starts = range(0, dilation * taps, dilation)
    seen = jnp.concatenate([padded[:, t : t + last : stride] for t in starts], axis=-1)
    deep = jnp.moveaxis(kernel, 0, 2).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])
    return seen.reshape(-1, *seen.shape[2:]), deep


def _merge_taps(kernel: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """Three taps to the two of the even and of the odd outputs: (k0, k1 + k2) and (k0 + k1, k2)."""
    first, middle, last = jnp.split(kernel, 3, axis)
    even = jnp.concatenate([first, middle + last], axis)
    return even, jnp.concatenate([first + middle, last], axis)


def upsample_convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """3x3 convolution (padding 1) of the 2-fold nearest enlargement of ``x``, without enlarging it.

    Output rows 2i see the input rows i-1, i, i with weights k0, k1, k2, and rows 2i+1 see i, i,
    i+1; so each of the four output phases is a 2x2 convolution at the low resolution with summed
    weights: 16 products instead of 36. Of volumes likewise, 64 instead of 216: the even and the odd
    planes are what two planes side by side in the channels become as pictures.

    Args:
        x: ``[B, *space, C_in]``.
        kernel: ``[3, 3, C_in, C_out]``, of volumes ``[3, 3, 3, C_in, C_out]``.

    Returns:
        ``[B, *space doubled, C_out]``.
    """
    if x.ndim == 5:
        return _upsample_convolve_volume(x, kernel)
    batch, height, width, _ = x.shape
    rows = []
    for p, tall in enumerate(_merge_taps(kernel, 0)):
        small = _merge_taps(tall, 1)
        row = [convolve(x, small[q], 1, ((1 - p, p), (1 - q, q))) for q in (0, 1)]
        rows.append(jnp.stack(row, axis=3))
    return jnp.stack(rows, axis=2).reshape(batch, 2 * height, 2 * width, kernel.shape[-1])


def _upsample_convolve_volume(x: jax.Array, kernel: jax.Array) -> jax.Array:
    batch, depth, height, width, _ = x.shape
    planes = []
    for p, deep in enumerate(_merge_taps(kernel, 0)):
        padded = jnp.pad(x, ((0, 0), (1 - p, p), *((0, 0),) * 3))
        pairs = jnp.concatenate([padded[:, :-1], padded[:, 1:]], axis=-1)
        both = jnp.concatenate([deep[0], deep[1]], axis=-2)
        planes.append(upsample_convolve(pairs.reshape(-1, *pairs.shape[2:]), both))
    shape = (batch, depth, 2 * height, 2 * width, kernel.shape[-1])
    joined = jnp.stack([plane.reshape(shape) for plane in planes], axis=2)
    return joined.reshape(batch, 2 * depth, *shape[2:])
