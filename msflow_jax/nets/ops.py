"""Pure functions under the layers, written for XLA on CPU as well as on accelerators.

Images are ``[B, *space, C]``, of two or three axes of space; the rank of the input says which.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

NORM_EPSILON = 1e-5


def per_channel(values: jax.Array, like: jax.Array) -> jax.Array:
    """``[C]`` to broadcast against ``[..., C]``: no implicit promotion of ranks."""
    return values.reshape((1,) * (like.ndim - 1) + values.shape)


def over_space(values: jax.Array, like: jax.Array) -> jax.Array:
    """``[B, C]`` to broadcast against ``[B, *space, C]``."""
    return values.reshape(values.shape[0], *(1,) * (like.ndim - 2), values.shape[-1])


def check_images(x: jax.Array, channels: int) -> None:
    """Raises a ValueError unless these are pictures or volumes ``[B, *space, channels]``."""
    if x.ndim not in (4, 5) or x.shape[-1] != channels:
        raise ValueError(
            f"expected images [B, H, W, {channels}] or volumes [B, D, H, W, {channels}], got {x.shape}"
        )


def space_axes(x: jax.Array) -> tuple[int, ...]:
    """The axes of space of ``[B, *space, C]``."""
    return tuple(range(1, x.ndim - 1))


def resize(images: jax.Array, size: int | Sequence[int]) -> jax.Array:
    """Images ``[B, *space, C]`` at another size: linear along each axis, antialiased where they shrink.

    Args:
        images: pictures or volumes.
        size: entries along each axis of space; one number for all of them.
    """
    space = (size,) * (images.ndim - 2) if isinstance(size, int) else tuple(size)
    shape = (images.shape[0], *space, images.shape[-1])
    return images if images.shape == shape else jax.image.resize(images, shape, "bilinear")


@jax.custom_vjp
def channel_product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """``x @ kernel`` of ``[..., C_in]`` and [C_in, C_out], with a reverse-mode rule cheap on CPU."""
    return x @ kernel


def _channel_product_forward(x, kernel):
    return x @ kernel, (x, kernel)


def _channel_product_backward(residuals, gradient):
    x, kernel = residuals
    # Without the barrier XLA on CPU fuses the norms around into a strided transposition of the
    # operands.
    tall_x, tall_g = lax.optimization_barrier(
        (x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1]))
    )
    dkernel = lax.dot_general(tall_x, tall_g, (((0,), (0,)), ((), ())))
    return gradient @ kernel.T, dkernel


channel_product.defvjp(_channel_product_forward, _channel_product_backward)


def group_norm(
    x: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    shift: jax.Array | None = None,
    *,
    groups: int,
    silu: bool,
    forward_mode: bool = False,
    epsilon: float = NORM_EPSILON,
) -> jax.Array:
    """Group norm of ``x + shift``, then SiLU if requested.

    It takes one sum and one sum of squares per channel. The shift (a convolution's bias, a time
    embedding) never touches the image: it only moves the channel means. The derivative keeps ``x``
    and a few numbers per channel, and recomputes the rest.

    Args:
        x: ``[B, *space, C]``.
        scale: ``[C]``.
        bias: ``[C]``.
        shift: ``[B, C]`` or None.
        groups: number of groups; divides C.
        silu: apply SiLU to the result.
        forward_mode: leave the derivative to jax, so that ``jax.jvp`` works; dearer in reverse mode.
        epsilon: added to the variance.

    Returns:
        ``[B, *space, C]`` in the dtype of ``x``; statistics in float32.
    """
    if shift is None:
        shift = jnp.zeros((x.shape[0], x.shape[-1]), jnp.float32)
    if forward_mode:
        return _group_norm_forward(groups, silu, epsilon, x, scale, bias, shift)[0]
    return _group_norm(groups, silu, epsilon, x, scale, bias, shift)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _group_norm(groups, silu, epsilon, x, scale, bias, shift):
    return _group_norm_forward(groups, silu, epsilon, x, scale, bias, shift)[0]


def _pool(values: jax.Array, groups: int) -> jax.Array:
    """Mean over the channels of each group, spread back to the channels: ``[B, C]`` -> ``[B, C]``."""
    batch, channels = values.shape
    means = values.reshape(batch, groups, channels // groups).mean(-1, keepdims=True)
    return jnp.broadcast_to(means, (batch, groups, channels // groups)).reshape(batch, channels)


def _group_norm_forward(groups, silu, epsilon, x, scale, bias, shift):
    # In float32 whatever the compute dtype: bfloat16 has 8 bits, too few for sums over an image.
    x32 = x.astype(jnp.float32)
    axes, pixels = space_axes(x), math.prod(x.shape[1:-1])
    # Plain sums, since centring first costs a pass over the image. Cancellation leaves a relative
    # error of about 1e-7 mean^2 / variance: harmless until the mean is hundreds of deviations.
    offset = jnp.sum(x32, axis=axes) / pixels
    spread = jnp.sum(jnp.square(x32), axis=axes) / pixels - jnp.square(offset)
    mean = offset + shift
    group_mean = _pool(mean, groups)
    variance = _pool(spread + jnp.square(mean - group_mean), groups)
    inverse = lax.rsqrt(jnp.maximum(variance, 0.0) + epsilon)
    centre = group_mean - shift
    gain = inverse * scale[None]
    y = x32 * over_space(gain, x) + over_space(bias[None] - centre * gain, x)
    if silu:
        y = y * jax.nn.sigmoid(y)
    return y.astype(x.dtype), (x, scale, bias, centre, inverse, mean - group_mean)


def _group_norm_backward(groups, silu, epsilon, residuals, gradient):
    del epsilon
    x, scale, bias, centre, inverse, offset = residuals
    axes, pixels = space_axes(x), math.prod(x.shape[1:-1])
    normal = (x.astype(jnp.float32) - over_space(centre, x)) * over_space(inverse, x)
    g = gradient.astype(jnp.float32)
    if silu:
        y = normal * per_channel(scale, normal) + per_channel(bias, normal)
        s = jax.nn.sigmoid(y)
        g = g * (s * (1 + y * (1 - s)))
    sum_g = jnp.sum(g, axis=axes)
    sum_gn = jnp.sum(g * normal, axis=axes)
    mean_g = _pool(sum_g * scale[None], groups) / pixels
    mean_gn = _pool(sum_gn * scale[None], groups) / pixels
    dx = over_space(inverse, x) * (
        g * per_channel(scale, g) - over_space(mean_g, x) - normal * over_space(mean_gn, x)
    )
    # The sum of dx over the pixels, in closed form: a bias and an embedding cost no pass over the
    # image.
    dshift = inverse * (sum_g * scale[None] - pixels * (mean_g + offset * inverse * mean_gn))
    return dx.astype(x.dtype), sum_gn.sum(0), sum_g.sum(0), dshift


_group_norm.defvjp(_group_norm_forward, _group_norm_backward)


def attend(qkv: jax.Array, heads: int) -> jax.Array:
    """Self-attention, softmax in float32, from per-head interleaved queries, keys and values.

    The channels are ordered head by head, and within a head q, k, v (the "legacy" order of guided
    diffusion).

    Args:
        qkv: ``[B, T, 3 C]``.
        heads: number of heads; divides C.

    Returns:
        ``[B, T, C]`` in the dtype of ``qkv``.
    """
    batch, tokens, channels = qkv.shape
    width = channels // (3 * heads)
    parts = qkv.reshape(batch, tokens, 3 * heads, width).swapaxes(1, 2)
    parts = parts.reshape(batch, heads, 3, tokens, width)
    query, key, value = parts[:, :, 0] * width**-0.5, parts[:, :, 1], parts[:, :, 2]
    scores = jnp.einsum("bhtd,bhsd->bhts", query, key, preferred_element_type=jnp.float32)
    # Softmax with its division after the second product, on [T, d] instead of [T, T] numbers.
    weights = jnp.exp(scores - lax.stop_gradient(scores.max(-1, keepdims=True)))
    total = weights.sum(-1, keepdims=True)
    # Factors in the compute dtype (bfloat16 units are fast), sums and division in float32.
    mixed = jnp.einsum(
        "bhts,bhsd->bhtd", weights.astype(qkv.dtype), value, preferred_element_type=jnp.float32
    )
    mixed = (mixed / total).astype(qkv.dtype)
    return mixed.transpose(0, 2, 1, 3).reshape(batch, tokens, heads * width)


def time_embedding(u: jax.Array, width: int, period: float = 1e4) -> jax.Array:
    """Sinusoidal embedding of raw times ``[B]``, float32 ``[B, width]``: half cosines, half sines.

    Frequencies exp(-ln(period) i / half), i < half = width // 2; an odd width ends in a zero.
    """
    half = width // 2
    frequencies = np.exp(-math.log(period) * np.arange(half) / half).astype(np.float32)
    angles = u.astype(jnp.float32)[:, None] * frequencies[None]
    code = jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)
    return jnp.pad(code, ((0, 0), (0, width - 2 * half)))


def pad_sides(x: jax.Array, multiple: int) -> tuple[jax.Array, tuple[slice, ...]]:
    """Repeats the edge of ``x`` ``[B, *space, C]`` evenly up to a multiple; the slices undo it."""
    widths, crops = [], []
    for side in x.shape[1:-1]:
        extra = -side % multiple
        widths.append((extra // 2, extra - extra // 2))
        crops.append(slice(extra // 2, extra // 2 + side))
    if any(map(any, widths)):
        x = jnp.pad(x, ((0, 0), *widths, (0, 0)), mode="edge")
    return x, tuple(crops)
