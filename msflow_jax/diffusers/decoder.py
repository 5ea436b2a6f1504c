"""The control of drawn reports: an autoregressive decoder that sees the image by a CNN of its own."""

from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.diffusers.alignment import ImageEncoder
from msflow_jax.diffusers.networks import CONTEXT, GUIDE, start
from msflow_jax.diffusers.settings import REPORT
from msflow_jax.diffusers.text import Decoder, after_start, token_shape
from msflow_jax.nets.layers import Dtype

if TYPE_CHECKING:
    from msflow_jax.diffusers.model import Diffusers


class ReportDecoder(nn.Module):
    """Images to the words of their reports, one after the other; no latent and no noise.

    The CNN is that of alignment and the decoder that of the text codec, as deep as codec and diffuser.

    Attributes:
        size: how many token numbers there are.
        width: channels of a token.
        depth: blocks of the decoder.
        heads: number of attention heads.
        cnn: channels of the first level of the CNN.
        dtype: compute dtype.
    """

    size: int
    width: int = 128
    depth: int = 2
    heads: int = 4
    cnn: int = 16
    dtype: Dtype = jnp.float32

    def setup(self) -> None:
        """The two networks."""
        self.encoder = ImageEncoder(self.cnn, dtype=self.dtype, pooled=False)
        self.decoder = Decoder(self.size, self.width, self.depth, self.heads, self.dtype)

    def look(self, images: jax.Array) -> jax.Array:
        """What the decoder may ask, ``[B, M, F]``, of images ``[B, *shape]`` in [-1, 1]."""
        return self.encoder(images)

    def logits(self, memory: jax.Array, tokens: jax.Array) -> jax.Array:
        """Logits ``[B, T, size]`` of every token given the image and the tokens before it."""
        return self.decoder(memory, after_start(tokens))

    def __call__(self, images: jax.Array, tokens: jax.Array) -> jax.Array:
        """Logits of reports ``[B, T]`` of images."""
        return self.logits(self.look(images), tokens)


def parameters(tree: Any) -> int:
    """How many numbers a tree of arrays, or of their shapes, holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def route_parameters(model: "Diffusers", source: str) -> int:
    """Parameters that write a report of a source: both encoders, the diffuser, the codec's decoder."""

    def made(key: jax.Array) -> Any:
        text = start(model, key, ("text",))["text"]["decoder"]
        told = CONTEXT + model.guide_towards(source, REPORT)
        seen = start(model, key, ("align", told), (source,))
        guide = GUIDE + model.guide_towards(REPORT, source)
        return text, seen, start(model, key, ("diffuser", guide), (REPORT,))

    return parameters(jax.eval_shape(made, jax.random.key(0)))


def matched_width(model: "Diffusers", source: str, net: ReportDecoder) -> int:
    """The width with which a decoder has most nearly as many parameters as the model's own route.

    Args:
        model: the model.
        source: modality of the images.
        net: the decoder of any width.
    """
    codec = model.require(source).codec
    assert codec is not None
    images = jax.ShapeDtypeStruct((1, *codec.shape), jnp.float32)

    def size(width: int) -> int:
        made = net.clone(width=width)
        return parameters(
            jax.eval_shape(made.init, jax.random.key(0), images, token_shape(model.length))
        )

    # Of a transformer they are a polynomial of the second degree in its width.
    widths = [net.heads * k for k in (1, 2, 3)]
    square, line, rest = np.polyfit(widths, [size(width) for width in widths], 2)
    more = max(0.0, route_parameters(model, source) - rest)
    width = (-line + (line**2 + 4 * square * more) ** 0.5) / (2 * square)
    return net.heads * max(1, round(width / net.heads))
