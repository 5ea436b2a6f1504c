"""Convolution and group norm in two or three dimensions, with gradients that are fast on CPU."""

import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from msflow_jax.nets.kernels import neighbours_as_channels
from msflow_jax.nets.ops import channel_product, per_channel

_zeros = nn.initializers.zeros
_LETTERS = {2: "HW", 3: "DHW"}


class Conv(nn.Module):
    """Convolution in two or three dimensions, same padding.

    Attributes:
        features: number of output channels.
        size: odd side of the kernel.
        stride: step in all directions.
        dilation: spacing of the kernel's taps.
    """

    features: int
    size: int = 3
    stride: int = 1
    dilation: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, *space, C]`` to ``[B, *space / stride, features]``."""
        n = x.ndim - 2
        shape = (*(self.size,) * n, x.shape[-1], self.features)
        kernel = self.param("kernel", _zeros, shape, jnp.float32)
        bias = self.param("bias", _zeros, (self.features,), jnp.float32)
        if self.size == self.stride == 1:
            h = channel_product(x, kernel.reshape(shape[-2:]))
        else:
            h = convolve(x, kernel, self.stride, self.dilation)
        return h + per_channel(bias, h)


def convolve(x: jax.Array, kernel: jax.Array, stride: int, dilation: int) -> jax.Array:
    """Convolution of ``[B, *space, C]`` by ``[k, ..., k, C, F]``, k odd, same padding.

    See :func:`_convolve_backward` for its gradients on CPU, and :func:`by_slices` for volumes there.
    """
    if jax.default_backend() == "cpu":
        if x.ndim == 5 and len(kernel) > 1:
            return by_slices(x, kernel, stride, dilation)
        return _convolve_on_cpu(x, kernel, stride, dilation)
    return _same(x, kernel, stride, dilation)


@partial(jax.checkpoint, static_argnums=(2, 3))  # keeps the volume, not its shifted copies
def by_slices(x: jax.Array, kernel: jax.Array, stride: int, dilation: int) -> jax.Array:
    """:func:`convolve` of a volume on CPU: each slice sees the slices around it as channels.

    XLA on CPU has a fast routine for two dimensions alone: forwards and backwards this takes a third to
    a seventh of the time of its three-dimensional one, and 1.5 to 3 times its memory.
    """
    reach = dilation * (len(kernel) // 2)
    flat, deep = neighbours_as_channels(x, kernel, stride, dilation, (reach, reach))
    found = _convolve_on_cpu(flat, deep, stride, dilation)
    return found.reshape(x.shape[0], -1, *found.shape[1:])


def _same(x, kernel, stride, dilation):
    reach = dilation * (kernel.shape[0] // 2)
    return _channels_last(x, kernel, [(reach, reach)] * (x.ndim - 2), stride, spread=dilation)


_convolve_on_cpu = jax.custom_vjp(_same, nondiff_argnums=(2, 3))


def _channels_last(x, kernel, padding, stride=1, holes=1, spread=1):
    """``holes``: spacing of the entries of ``x``; ``spread``: spacing of the kernel's taps."""
    n = x.ndim - 2
    letters = _LETTERS[n]
    return lax.conv_general_dilated(
        x, kernel, (stride,) * n, padding, (holes,) * n, (spread,) * n,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
    )  # fmt: skip


def _convolve_forward(x, kernel, stride, dilation):
    return _same(x, kernel, stride, dilation), (x, kernel)


def _convolve_backward(stride, dilation, residuals, g):
    # Written channels-last like the convolution itself. XLA on CPU has a fast routine for that layout
    # and rewrites what JAX derives to it, but not inside loops, which then take up to 100 times as long.
    x, kernel = residuals
    n = x.ndim - 2
    taps, space = tuple(range(n)), tuple(range(1, n + 1))
    reach = dilation * (kernel.shape[0] // 2)
    # Entries behind the last place that the strides reach.
    rest = [a - 1 - stride * (b - 1) for a, b in zip(x.shape[1:-1], g.shape[1:-1], strict=True)]
    turned = jnp.flip(kernel, taps).swapaxes(-1, -2)
    ahead = [(reach, reach + r) for r in rest]
    dx = _channels_last(g, turned, ahead, holes=stride, spread=dilation)
    # The kernel's gradient sums over the batch, which takes the place of the channels.
    across, along = (n + 1, *space, 0), (*space, 0, n + 1)
    if g.shape[-1] < x.shape[-1] and stride == dilation == 1:  # few as batch, many as features
        few = _channels_last(g.transpose(across), x.transpose(along), [(reach, reach)] * n)
        return dx, jnp.flip(few.transpose(*space, n + 1, 0), taps)
    within = [(reach, reach - r) for r in rest]
    many = _channels_last(x.transpose(across), g.transpose(along), within, dilation, spread=stride)
    return dx, many.transpose(along)


_convolve_on_cpu.defvjp(_convolve_forward, _convolve_backward)


class Norm(nn.Module):
    """Group norm of up to 8 groups, over all dimensions of space."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, *space, C]`` to the same shape."""
        channels = x.shape[-1]
        groups = math.gcd(8, channels)
        scale = self.param("scale", nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param("bias", _zeros, (channels,), jnp.float32)
        h = x.reshape(x.shape[0], -1, groups, channels // groups)
        mean = h.mean(axis=(1, 3), keepdims=True)
        variance = jnp.mean((h - mean) ** 2, axis=(1, 3), keepdims=True)
        h = ((h - mean) * lax.rsqrt(variance + 1e-5)).reshape(x.shape)
        return h * per_channel(scale, h) + per_channel(bias, h)
