"""The networks inside a coupling: what is seen and the label to raw log-scale and shift.

Every module maps ``x`` ``[B, *space, C]`` and class numbers ``[B]`` to two arrays of ``x``'s shape, in
two or three dimensions; the last layers start at zero: a fresh coupling is the identity. No batch
statistics anywhere: with them the density of an image would depend on its batch-mates.

`Generation` and `Classification` follow MAGIC-Flow (arXiv 2510.22070) with two changes: group norm where
the public code has batch norm, plain kernels where it normalises them.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from msflow_jax.nets.layers import Dense
from msflow_jax.nets.ops import channel_product

Outputs = tuple[jax.Array, jax.Array]
EMBEDDING = 128
_zeros = nn.initializers.zeros
_LETTERS = {2: "HW", 3: "DHW"}


class Conv(nn.Module):
    """Convolution in two or three dimensions, same padding.

    Attributes:
        features: output channels.
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
        """Maps `[B, *space, C]` to `[B, *space / stride, features]`."""
        n = x.ndim - 2
        shape = (*(self.size,) * n, x.shape[-1], self.features)
        kernel = self.param("kernel", _zeros, shape, jnp.float32)
        bias = self.param("bias", _zeros, (self.features,), jnp.float32)
        if self.size == self.stride == 1:
            return channel_product(x, kernel.reshape(shape[-2:])) + bias
        return convolve(x, kernel, self.stride, self.dilation) + bias


def convolve(x: jax.Array, kernel: jax.Array, stride: int, dilation: int) -> jax.Array:
    """Convolution of ``[B, *space, C]`` by ``[k, ..., k, C, F]``, k odd, same padding.

    On CPU its gradients are written channels-last too. XLA has a fast routine for that layout and
    rewrites what JAX derives to it, but not inside loops, where that takes up to 100 times as long.
    """
    if jax.default_backend() == "cpu":
        return _convolve_on_cpu(x, kernel, stride, dilation)
    return _same(x, kernel, stride, dilation)


def _same(x, kernel, stride, dilation):
    reach = dilation * (kernel.shape[0] // 2)
    return _channels_last(x, kernel, [(reach, reach)] * (x.ndim - 2), stride, spread=dilation)


_convolve_on_cpu = jax.custom_vjp(_same, nondiff_argnums=(2, 3))


def _channels_last(x, kernel, padding, stride=1, holes=1, spread=1):
    """``holes``: spacing of the entries of ``x``; ``spread``: of the kernel's taps."""
    n = x.ndim - 2
    letters = _LETTERS[n]
    return lax.conv_general_dilated(
        x, kernel, (stride,) * n, padding, (holes,) * n, (spread,) * n,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
    )  # fmt: skip


def _convolve_forward(x, kernel, stride, dilation):
    return _same(x, kernel, stride, dilation), (x, kernel)


def _convolve_backward(stride, dilation, residuals, g):
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
        """Maps `[B, *space, C]` to the same shape."""
        channels = x.shape[-1]
        groups = math.gcd(8, channels)
        scale = self.param("scale", nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param("bias", _zeros, (channels,), jnp.float32)
        h = x.reshape(len(x), -1, groups, channels // groups)
        mean = h.mean(axis=(1, 3), keepdims=True)
        variance = jnp.mean((h - mean) ** 2, axis=(1, 3), keepdims=True)
        return ((h - mean) * lax.rsqrt(variance + 1e-5)).reshape(x.shape) * scale + bias


class _Product(nn.Module):
    """`Dense` with the bias as one more row of the kernel.

    Added behind the product, XLA on CPU adds it at every entry that is modulated, twice the time of the
    modulation itself in a loop of steps.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, E]` to `[B, features]`."""
        kernel = self.param("kernel", _zeros, (x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", _zeros, (self.features,), jnp.float32)
        padded = jnp.concatenate([x, jnp.ones((len(x), 1))], axis=-1)
        return padded @ jnp.concatenate([kernel, bias[None]])


class FiLM(nn.Module):
    """Feature-wise linear modulation, `h (1 + gamma(e)) + beta(e)`; starts as the identity."""

    @nn.compact
    def __call__(self, h: jax.Array, embedding: jax.Array) -> jax.Array:
        """Maps `[B, *space, C]` and `[B, E]` to the former's shape."""
        both = _Product(2 * h.shape[-1], name="modulation_zero")(embedding)
        gamma, beta = jnp.split(_over_space(both, h), 2, axis=-1)
        return h * (1 + gamma) + beta


class CBAM(nn.Module):
    """Gates over channels, then over places (Woo et al. 2018)."""

    reduction: int = 16

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, *space, C]` to the same shape."""
        space = tuple(range(1, x.ndim - 1))
        hidden = Dense(max(1, x.shape[-1] // self.reduction), name="channel_in")
        out = Dense(x.shape[-1], name="channel_out")
        gate = sum(out(nn.relu(hidden(pool(x, axis=space)))) for pool in (jnp.mean, jnp.max))
        x = x * _over_space(nn.sigmoid(gate), x)
        both = jnp.stack([x.mean(axis=-1), x.max(axis=-1)], axis=-1)
        return x * nn.sigmoid(Conv(1, size=7, name="place")(both))


class ASPP(nn.Module):
    """Parallel convolutions of growing reach, weighed by squeeze-and-excitation (ASPP-SE)."""

    reduction: int = 16

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, *space, C]` to the same shape."""
        branches = [Conv(x.shape[-1], size=1, name="near")(x)]
        for reach in (6, 12, 18):
            branches.append(Conv(x.shape[-1], dilation=reach, name=f"reach_{reach}")(x))
        h = jnp.concatenate(branches, axis=-1)
        pooled = h.mean(axis=tuple(range(1, x.ndim - 1)))
        pooled = nn.relu(Dense(max(1, h.shape[-1] // self.reduction), name="squeeze")(pooled))
        h = h * _over_space(nn.sigmoid(Dense(h.shape[-1], name="excite")(pooled)), h)
        return Conv(x.shape[-1], size=1, name="join")(h)


class ResidualBlock(nn.Module):
    """Conv, norm, FiLM, GELU, conv, norm, FiLM beside the input; GELU."""

    @nn.compact
    def __call__(self, x: jax.Array, embedding: jax.Array) -> jax.Array:
        """Maps `[B, *space, C]` and `[B, E]` to the former's shape."""
        h = nn.gelu(_modulated(x, embedding, x.shape[-1], 3, 1, "first"))
        h = _modulated(h, embedding, x.shape[-1], 3, 1, "second")
        return nn.gelu(x + h)


class Convolutional(nn.Module):
    """Glow's: convolutions of sizes 3, 1 and 3; behind the first an offset at every place, and FiLM.

    Anatomy has its place, of which a convolution sees only the nearest borders: without the offsets the
    X-rays that a flow draws are clouds.

    Attributes:
        classes: number of classes K.
        width: channels.
        places: whether there are offsets; without them the flow knows no place.
    """

    classes: int
    width: int = 64
    places: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array, train: bool = False) -> Outputs:
        """Raw log-scale and shift."""
        h = Conv(self.width, name="in_conv")(x)
        if self.places:
            h = h + self.param("place_zero", _zeros, h.shape[1:], jnp.float32)
        h = nn.relu(FiLM(name="in_film")(h, jax.nn.one_hot(labels, self.classes)))
        h = nn.relu(Conv(self.width, size=1, name="mid_conv")(h))
        raw, shift = jnp.split(Conv(2 * x.shape[-1], name="out_zero")(h), 2, axis=-1)
        return raw, shift


class Residual(nn.Module):
    """The plain one: a convolution and residual blocks at full resolution.

    Attributes:
        classes: number of classes K.
        width: channels.
        blocks: residual blocks.
    """

    classes: int
    width: int = 64
    blocks: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array, train: bool = False) -> Outputs:
        """Raw log-scale and shift."""
        embedding = nn.gelu(_embed(labels, self.classes))
        h = nn.gelu(_modulated(x, embedding, self.width, 3, 1, "stem"))
        for i in range(self.blocks):
            h = ResidualBlock(name=f"block_{i}")(h, embedding)
        raw, shift = jnp.split(Conv(2 * x.shape[-1], name="out_zero")(h), 2, axis=-1)
        return raw, shift


class SplitPrior(nn.Module):
    """Glow's prior of the half that is split off: mean and log-scale by the other half and the class.

    Attributes:
        classes: number of classes K.
        features: channels of the half that is split off.
        bound: largest absolute log-scale.
    """

    classes: int
    features: int
    bound: float = 3.0

    @nn.compact
    def __call__(self, kept: jax.Array, labels: jax.Array) -> Outputs:
        """Mean and log-scale, both `[B, *space, features]`; a fresh prior is the standard normal."""
        h = Conv(2 * self.features, name="out_zero")(kept)
        given = Dense(2 * self.features, name="label_zero")(jax.nn.one_hot(labels, self.classes))
        mean, raw = jnp.split(h + _over_space(given, h), 2, axis=-1)
        return mean, self.bound * jnp.tanh(raw / self.bound)


class TopPrior(nn.Module):
    """Prior of what is never split off: a mean and a log-scale for every entry and class.

    Attributes:
        classes: number of classes K.
        bound: largest absolute log-scale.
    """

    classes: int
    bound: float = 3.0

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array) -> Outputs:
        """Mean and log-scale for latents `[B, *space, C]`; a fresh prior is the standard normal."""
        shape = (2, self.classes, *x.shape[1:])
        mean, raw = self.param("table_zero", _zeros, shape, jnp.float32)[:, labels]
        return mean, self.bound * jnp.tanh(raw / self.bound)


class Generation(nn.Module):
    """MAGIC-Flow's generation conditioner: three stages that keep the resolution.

    Attributes:
        classes: number of classes K.
        widths: channels of the three stages.
    """

    classes: int
    widths: tuple[int, int, int] = (16, 32, 32)

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array, train: bool = False) -> Outputs:
        """Raw log-scale and shift."""
        embedding = nn.gelu(_embed(labels, self.classes))
        space = tuple(range(1, x.ndim - 1))
        h = x
        for i, width in enumerate(self.widths):
            size = 5 if i == 0 else 3
            h = nn.gelu(_modulated(h, embedding, width, size, 1, f"stage_{i}"))
            h = CBAM(name=f"stage_{i}_gate")(h)
            pooled = h.mean(axis=space)
            if i == 0:
                fused = nn.gelu(Dense(EMBEDDING, name="fusion_in")(pooled))
                h = h + _over_space(Dense(width, name="fusion_out")(fused), h)
            else:
                h = ResidualBlock(name=f"stage_{i}_block")(h, embedding)
                context = nn.relu(Dense(max(1, width // 16), name=f"stage_{i}_context_in")(pooled))
                context = nn.sigmoid(Dense(width, name=f"stage_{i}_context_out")(context))
                h = h + h * _over_space(context, h)
            h = ASPP(name=f"stage_{i}_reach")(h)
        raw = Conv(x.shape[-1], name="scale_zero")(h)
        return raw, Conv(x.shape[-1], size=1, name="shift_zero")(h)


class Classification(nn.Module):
    """MAGIC-Flow's classification conditioner: two or three halvings, then back to every entry.

    The published head is dense: it knows one image size, and holds nearly all parameters (151.6 M in
    the published layout). ``dense=False`` convolves and enlarges instead.

    Attributes:
        classes: number of classes K.
        widths: channels of the three stages, each of half the resolution.
        dropout: after every stage, while training.
        dense: the published head.
    """

    classes: int
    widths: tuple[int, int, int] = (16, 32, 32)
    dropout: float = 0.3
    dense: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array, train: bool = False) -> Outputs:
        """Raw log-scale and shift."""
        embedding = self._residual_embedding(labels)
        h = x
        for i, width in enumerate(self.widths):
            size = 5 if i == 0 else 3
            h = nn.gelu(_modulated(h, embedding, width, size, 2, f"stage_{i}"))
            if i > 0:
                h = CBAM(name=f"stage_{i}_gate")(h)
                h = ResidualBlock(name=f"stage_{i}_block")(h, embedding)
            if self.dropout and train:
                h = nn.Dropout(self.dropout, deterministic=False)(h)
        if not self.dense:
            h = Conv(2 * self.widths[-1], name="head")(h)
            h = nn.gelu(FiLM(name="head_film")(h, embedding))
            h = jax.image.resize(h, (*x.shape[:-1], h.shape[-1]), "nearest")
            h = nn.gelu(Conv(self.widths[-1], name="refine")(jnp.concatenate([h, x], axis=-1)))
            raw, shift = jnp.split(Conv(2 * x.shape[-1], name="out_zero")(h), 2, axis=-1)
            return raw, shift
        flat = h.reshape(len(h), -1)
        outputs = []
        for name in ("scale", "shift"):
            image = nn.gelu(Dense(64, name=f"{name}_image")(flat))
            label = nn.gelu(Dense(64, name=f"{name}_label")(embedding))
            joined = jnp.concatenate([image, label], axis=-1)
            outputs.append(Dense(math.prod(x.shape[1:]), name=f"{name}_zero")(joined))
        return outputs[0].reshape(x.shape), outputs[1].reshape(x.shape)

    def _residual_embedding(self, labels: jax.Array) -> jax.Array:
        """K -> 16 -> 32 -> 64 -> 128 with linear skips over the middle two."""
        h = nn.gelu(_embed(labels, self.classes, 16))
        for width in (32, 64):
            skip = Dense(width, name=f"skip_{width}")(h)
            h = nn.gelu(Dense(width, name=f"label_{width}")(h) + skip)
        return nn.gelu(Dense(EMBEDDING, name=f"label_{EMBEDDING}")(h))


def _embed(labels: jax.Array, classes: int, width: int = EMBEDDING) -> jax.Array:
    """A learned vector for each class, ``[B] -> [B, width]``: a linear layer on one-hot labels."""
    return Dense(width, name="label")(jax.nn.one_hot(labels, classes))


def _modulated(
    x: jax.Array, embedding: jax.Array, width: int, size: int, stride: int, name: str
) -> jax.Array:
    """Conv, norm, FiLM: children of the module whose compact method calls this."""
    h = Conv(width, size, stride, name=f"{name}_conv")(x)
    return FiLM(name=f"{name}_film")(Norm(name=f"{name}_norm")(h), embedding)


def _over_space(values: jax.Array, like: jax.Array) -> jax.Array:
    """``[B, C]`` to broadcast against ``[B, *space, C]``."""
    return values.reshape(len(values), *(1,) * (like.ndim - 2), values.shape[-1])


CONDITIONERS: dict[str, Any] = {
    "convolutional": Convolutional,
    "residual": Residual,
    "generation": Generation,
    "classification": Classification,
}
