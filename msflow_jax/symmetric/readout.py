"""The read-out of a label picture, and how states of a path are shown."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from msflow_jax.latent.codec import KEY
from msflow_jax.symmetric.codes import Code
from msflow_jax.symmetric.latent_codes import LatentCode

if TYPE_CHECKING:
    from msflow_jax.symmetric.model import SymmetricFlow

READOUTS = ("latent", "decode")


def check_readout(readout: str, code: Code | LatentCode) -> None:
    """Raises a ValueError for a read-out that does not exist, or that this code does not allow."""
    if readout not in READOUTS:
        raise ValueError(f"unknown read-out {readout!r}: choose one of {', '.join(READOUTS)}")
    if readout == "decode" and not isinstance(code, LatentCode):
        raise ValueError(
            f"the read-out 'decode' needs label pictures that the autoencoder made, not the code "
            f"{code.scheme!r}: choose the code 'encoded' or 'pooled', or the read-out 'latent'"
        )


def check_task(maps: bool, segment: bool) -> None:
    """Raises a ValueError where a model of maps is to classify, or one of classes to segment."""
    if maps != segment:
        has, verb = ("pixel", "segment") if maps else ("image", "classify")
        raise ValueError(f"this model has one class per {has}: it can only {verb}")


def check_resize(segment: bool, resize: int, side: int) -> None:
    """Raises a ValueError where maps would be read at another size than that of their images."""
    if segment and resize not in (0, side):
        raise ValueError(
            f"model.resize={resize}: a map has the pixels of its image; set it to 0, and data.side to "
            "the size that is wanted"
        )


def own_verbs(flow: "SymmetricFlow") -> tuple[str, ...]:
    """What a flow can do for a user: with a class per pixel it draws from label maps, not from names."""
    return ("segment",) if flow.maps else ("classify", "generate")


def own_window(flow: "SymmetricFlow") -> tuple[int, ...]:
    """Sides of what a flow sees of an image at once, see :mod:`msflow_jax.inference.windows`."""
    return flow.codec.shape[:-1]


def make_reader(flow: "SymmetricFlow", params: Any) -> Callable[..., Any]:
    """``(label pictures, class weights or None) -> distances, probabilities, mode`` of a batch."""
    if flow.readout == "latent":
        return flow.code.read
    palette = Code("palette", len(flow.classes), flow.code.beta)
    return lambda pictures, weights: palette.read(_decode(flow, params, pictures), weights)


def map_probabilities(code: Code | LatentCode, pictures: jax.Array) -> jax.Array:
    """Class probabilities of every pixel of several draws, ``[D, B, *space, C] -> [B, *space, K]``.

    Of ``simplex`` the draws' pictures are averaged, since their mean is what determines the posterior:
    clipped one by one, noise would make every class a little probable. Of the other codes, whose mean
    may be the code of a third class, the probabilities are.

    Raises:
        ValueError: a code whose pictures are not read pixel by pixel.
    """
    if not isinstance(code, Code):
        raise ValueError(f"the code {code.scheme!r} has one class per image, not one per pixel")
    if code.scheme == "simplex":
        return code.pixel_probabilities(pictures.mean(axis=0))
    return code.pixel_probabilities(pictures).mean(axis=0)


def to_pictures(
    flow: "SymmetricFlow", params: Any, streams: Mapping[str, jax.Array]
) -> tuple[Any, Any]:
    """States of a path for display: images and label pictures (RGB), in [-1, 1]."""
    images = flow.codec.decode(params.get(KEY), streams["image"])
    if not isinstance(flow.code, LatentCode):
        return images, flow.code.to_rgb(streams["label"])
    return images, jnp.clip(_decode(flow, params, streams["label"]), -1, 1)


def _decode(flow: "SymmetricFlow", params: Any, pictures: jax.Array) -> jax.Array:
    """Latent label pictures as the autoencoder decodes them, not clipped."""
    return flow.codec.autoencoder.decode(params[KEY], pictures)  # type: ignore[attr-defined]
