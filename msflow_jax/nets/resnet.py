"""Residual networks for features: He et al. 2016 (arXiv 1512.03385), as torchvision builds them.

For use, not for training: the normalisation has fixed statistics, which are parameters like others,
and there is no classifier.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets.layers import Conv
from msflow_jax.nets.ops import per_channel

EPSILON = 1e-5  # of torch's batch norm
EXPANSION = 4  # of a bottleneck


class BatchNorm(nn.Module):
    """Batch norm by stored statistics: ``scale (x - mean) / sqrt(var + 1e-5) + bias``, each ``[C]``."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, H, W, C]`` to the same shape."""
        shape, zeros, ones = x.shape[-1:], nn.initializers.zeros, nn.initializers.ones
        scale, var = (self.param(name, ones, shape) for name in ("scale", "var"))
        bias, mean = (self.param(name, zeros, shape) for name in ("bias", "mean"))
        gain = scale / jnp.sqrt(var + EPSILON)
        return (x - per_channel(mean, x)) * per_channel(gain, x) + per_channel(bias, x)


class Block(nn.Module):
    """Two 3x3 convolutions, or with ``bottleneck`` 1x1, 3x3 and a 1x1 to four times the channels, beside
    the input or its 1x1 convolution.

    See ``ResNet`` for ``stride_first``.
    """

    width: int
    stride: int
    bottleneck: bool
    stride_first: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, H / stride, W / stride, width or 4 width]``."""
        sizes = (1, 3, 1) if self.bottleneck else (3, 3)
        out = EXPANSION * self.width if self.bottleneck else self.width
        strided = 1 if self.bottleneck and not self.stride_first else 0
        h = x
        for i, size in enumerate(sizes):
            last = i == len(sizes) - 1
            stride = self.stride if i == strided else 1
            features = out if last else self.width
            h = Conv(features, size, stride, bias=False, name=f"conv{i + 1}")(h)
            h = BatchNorm(name=f"bn{i + 1}")(h)
            h = h if last else nn.relu(h)
        if self.stride > 1 or x.shape[-1] != out:
            x = Conv(out, 1, self.stride, bias=False, name="downsample_0")(x)
            x = BatchNorm(name="downsample_1")(x)
        return nn.relu(x + h)


class ResNet(nn.Module):
    """Images to the features before the classifier. The defaults are those of ResNet-50.

    Attributes:
        blocks: blocks of each of the four stages: (2, 2, 2, 2) is 18, (3, 4, 6, 3) 34 or 50, (3, 4,
            23, 3) 101 and (3, 8, 36, 3) 152.
        bottleneck: whether the blocks have three convolutions (50 and deeper).
        width: channels of the first stage; every further one has twice as many.
        stride_first: a bottleneck halves the sides in its first convolution (He et al., Keras) and not
            in its second (torchvision, "v1.5").
    """

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True
    width: int = 64
    stride_first: bool = False

    @property
    def depth(self) -> int:
        """Layers with weights, the classifier counted: the number in the name."""
        return 2 + sum(self.blocks) * (3 if self.bottleneck else 2)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images ``[B, H, W, 3]``, normalised as the weights want, to features ``[B, F]`` float32.

        F is 8 widths (512), with bottlenecks 32 (2048): the means over the last stage's pixels.
        """
        x = nn.relu(BatchNorm(name="bn1")(Conv(self.width, 7, 2, bias=False, name="conv1")(x)))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for stage, count in enumerate(self.blocks):
            for i in range(count):
                stride = 2 if stage and not i else 1
                x = Block(
                    self.width * 2**stage, stride, self.bottleneck, self.stride_first,
                    name=f"layer{stage + 1}_{i}",
                )(x)  # fmt: skip
        return x.mean(axis=(1, 2))
