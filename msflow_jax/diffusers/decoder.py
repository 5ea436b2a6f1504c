"""The control of drawn reports: an autoregressive decoder that sees the image by a CNN of its own."""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Info
from msflow_jax.diffusers.alignment import ImageEncoder
from msflow_jax.diffusers.networks import CONTEXT, GUIDE, start
from msflow_jax.diffusers.text import Decoder, after_start, token_shape, write_reports
from msflow_jax.nets import count_parameters, init_params
from msflow_jax.nets.layers import Dtype
from msflow_jax.paired.controls import Controls, Params, make_controls
from msflow_jax.paired.settings import REPORT

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


@dataclass(frozen=True)
class ReportControls(Controls):
    """Controls of images and of reports. All methods are pure.

    Attributes:
        decoder: autoregressive decoder of reports, with a CNN of its own; None for none. Its parameters
            stand under ``decoder/NAME``.
        decoded: modalities that it is trained on, each alone.
    """

    decoder: ReportDecoder | None = None
    decoded: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The names under each part of the tree of parameters."""
        return {**super().names, "decoder": self.decoded}

    def write(
        self, params: Params, name: str, x: jax.Array, length: int
    ) -> tuple[jax.Array, jax.Array]:
        """Reports of images, word by word the most probable one, see :func:`write_reports`."""
        assert self.decoder is not None
        own = params["decoder"][name]
        memory: Any = self.decoder.apply({"params": own}, x, method="look")
        return write_reports(self.decoder, own, memory, length)

    def start(self, part: str, key: jax.Array, shape: tuple[int, ...], length: int = 0) -> Params:
        """Fresh parameters of a part for images ``[*shape]`` and reports of this many tokens."""
        if part != "decoder":
            return super().start(part, key, shape)
        assert self.decoder is not None
        images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        return init_params(self.decoder, key, images, token_shape(length))


def with_controls(model: "Diffusers", config: ConfigDict, info: Info) -> "Diffusers":
    """The model with the controls that the part ``model`` of a configuration names."""
    shapes = {
        name: one.codec.shape for name, one in model.modalities.items() if one.codec is not None
    }
    net = config.net
    controls = ReportControls(
        **vars(make_controls(config, info, shapes, dtype=net.dtype, remat=net.remat))
    )
    if decoded := tuple(config.decoder.sources):
        assert model.text is not None
        size, heads, depth = model.text.size, model.text.heads, model.text.depth + net.depth
        decoder = ReportDecoder(size, heads, depth, heads, config.align.width, jnp.dtype(net.dtype))
        decoder = decoder.clone(width=matched_width(model, decoded[0], decoder))
        controls = dataclasses.replace(controls, decoder=decoder, decoded=decoded)
    return dataclasses.replace(model, controls=controls)


def route_parameters(model: "Diffusers", source: str) -> int:
    """Parameters that write a report of a source: both encoders, the diffuser, the codec's decoder."""

    def made(key: jax.Array) -> Any:
        text = start(model, key, ("text",))["text"]["decoder"]
        told = CONTEXT + model.guide_towards(source, REPORT)
        seen = start(model, key, ("align", told), (source,))
        guide = GUIDE + model.guide_towards(REPORT, source)
        return text, seen, start(model, key, ("diffuser", guide), (REPORT,))

    return count_parameters(jax.eval_shape(made, jax.random.key(0)))


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
        made = partial(init_params, net.clone(width=width))  # which keeps its shapes
        return count_parameters(
            jax.eval_shape(made, jax.random.key(0), images, token_shape(model.length))
        )

    # Of a transformer they are a polynomial of the second degree in its width.
    widths = [net.heads * k for k in (1, 2, 3)]
    square, line, rest = np.polyfit(widths, [size(width) for width in widths], 2)
    more = max(0.0, route_parameters(model, source) - rest)
    width = (-line + (line**2 + 4 * square * more) ** 0.5) / (2 * square)
    return net.heads * max(1, round(width / net.heads))
