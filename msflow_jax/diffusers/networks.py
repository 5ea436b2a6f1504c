"""The networks of a modality, and their fresh parameters part by part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.diffusers.alignment import FIRST_SCALE, Aligned
from msflow_jax.diffusers.guidance import ContextEncoder
from msflow_jax.diffusers.text import token_shape
from msflow_jax.latent.codec import Codec, LatentCodec
from msflow_jax.nets import init_params
from msflow_jax.nets.places import PLACE
from msflow_jax.paired.keys import named_key
from msflow_jax.training.stage import split, update

if TYPE_CHECKING:
    from msflow_jax.diffusers.model import Diffusers

Params = Any
PARTS = ("align", "text", "diffuser")  # of every modality
CONTEXT = (
    "context"  # encoders of what a modality tells others, with the name of the guide they serve
)
GUIDE = (
    "guide"  # leaves of a diffuser that serve partners are called so, with the name of the guide
)


def guide_leaves(name: str) -> str:
    """Regular expression of the leaves of a diffuser that make its guide of this name."""
    return rf"(.*/)?{GUIDE}{name}(_in|_embedding)?(/.*)?"


@dataclass(frozen=True)
class Modality:
    """The networks of one modality.

    Attributes:
        encoder: to the common space, of what is stored: images, or rows of tokens.
        diffuser: DiT of the modality's latents.
        context: what it tells the others.
        inner: ``(*space, C)`` of the latents.
        codec: between images and latents; None of text, whose codec is the model's.
    """

    encoder: Aligned
    diffuser: nn.Module
    context: ContextEncoder
    inner: tuple[int, ...]
    codec: Codec | None = None

    @property
    def told(self) -> int:
        """How many tokens it tells the others."""
        return self.context.side ** (len(self.inner) - 1)

    @property
    def text(self) -> bool:
        """Whether it is text."""
        return self.codec is None

    @property
    def latent(self) -> bool:
        """Whether its images are drawn in an autoencoder's latents."""
        return isinstance(self.codec, LatentCodec)


def start(
    model: "Diffusers", key: jax.Array, parts: Sequence[str], names: Sequence[str] = ()
) -> Params:
    """Fresh parameters of some parts of some modalities.

    Args:
        model: the model.
        key: PRNG key; a leaf depends on it and on its own path alone.
        parts: any of ``PARTS``, ``temperature``, those of controls; ``guideNAME``, what a diffuser
            needs for the partners of its guide of this name, and ``contextNAME``, what tells them.
        names: modalities, of regressions routes; ``text`` belongs to none of them.
    """
    made: Params = {}
    for part in parts:
        if part == "text":
            if model.text is not None:
                made = update(made, {part: _start(model, part, "", key)})
            continue
        kind = "diffuser" if part.startswith(GUIDE) else part
        for name in names:
            made = update(made, {kind: {name: _start(model, part, name, key)}})
    return made


def _start(model: "Diffusers", part: str, name: str, key: jax.Array) -> Params:
    key = named_key(key, f"{'diffuser' if part.startswith(GUIDE) else part}/{name}")
    if part == "text":
        assert model.text is not None
        return init_params(model.text, key, token_shape(model.length))
    if part in model.controls.names:
        codec = model.require(name.partition("-")[0]).codec
        assert codec is not None
        return model.controls.start(part, key, codec.shape, model.length)
    one = model.require(name)
    latent = jax.ShapeDtypeStruct((1, *one.inner), jnp.float32)
    scalar = jax.ShapeDtypeStruct((1,), jnp.float32)
    if part == "temperature":
        return jnp.full((1,), FIRST_SCALE)
    if part == "align":
        shape = token_shape(model.length)
        if one.codec is not None:
            shape = jax.ShapeDtypeStruct((1, *one.codec.shape), jnp.float32)
        return init_params(one.encoder, key, shape)
    if part.startswith(CONTEXT):
        return init_params(one.context, key, latent, scalar)
    condition = jax.ShapeDtypeStruct((1, 1, one.encoder.features), jnp.float32)
    net, given = one.diffuser, (key, latent, scalar)
    if part == "diffuser":
        return init_params(net, *given, condition=condition)
    guide = part.removeprefix(GUIDE)
    partners = {guide: jax.ShapeDtypeStruct((1, 1, one.context.features + PLACE), jnp.float32)}
    whole = init_params(net, *given, condition=condition, partners=partners)
    return split(whole, guide_leaves(guide))[0]
