"""The velocity field of a symmetric flow around its network, preconditioned or not."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.latent.codec import KEY
from msflow_jax.nets.tracing import evaluate
from msflow_jax.streams import Clock, FlowMap, Streams, VelocityField, expand

ROUTE = {"image": Clock.FORWARD, "label": Clock.BACKWARD}


def make_field(
    network: Callable[[jax.Array, jax.Array], jax.Array], channels: int, std: Sequence[float] = ()
) -> VelocityField:
    """``field(u, {"image", "label"})`` of a network on the joined channels, ``u`` a scalar or ``[B]``.

    Args:
        network: ``(x [B, *space, C], u [B]) -> [B, *space, C]``, image channels first.
        channels: channels of the image.
        std: root mean square of each channel of the images, for preconditioning (after EDM, arXiv
            2206.00364): the network sees the image's state at unit variance, and says only what the
            best velocity linear in that state leaves open, in units of its spread. Empty: none.
    """

    def velocity(u: jax.Array, streams: Streams) -> Streams:
        image = streams["image"]
        u = jnp.broadcast_to(jnp.asarray(u, jnp.float32), image.shape[:1])
        if std:
            t = expand(u, image)
            spread = jnp.asarray(std).reshape(*(1,) * (image.ndim - 1), channels)
            total = jnp.sqrt((1 - t) ** 2 + (t * spread) ** 2)  # of the state
            linear = (t * spread**2 - (1 - t)) / total**2 * image
            image = image / total
        out = network(jnp.concatenate([image, streams["label"]], axis=-1), u).astype(jnp.float32)
        image_velocity, label = out[..., :channels], out[..., channels:]
        if std:
            image_velocity = linear + spread / total * image_velocity
        return {"image": image_velocity, "label": label}

    return velocity


def make_flow_map(
    net: nn.Module, params: Any, channels: int, std: Sequence[float] = (), *, train: bool = False,
    key: jax.Array | None = None,
) -> FlowMap:  # fmt: skip
    """The flow map of a network that is told how far to jump; of any other one its field, for b = a.

    Arguments as of :func:`make_field`; ``train`` says whether dropout acts, by ``key``.
    """
    own = without_codec(params)
    rngs = None if key is None else {"dropout": key}

    def average(a: jax.Array, b: jax.Array, streams: Streams) -> Streams:
        def network(x: jax.Array, u: jax.Array) -> jax.Array:
            # No other network takes a span.
            span = jnp.broadcast_to(b - a, u.shape) if getattr(net, "span", False) else None
            given = (x, u) if span is None else (x, u, span)
            if not train:
                return evaluate(net, own, *given)
            return net.apply({"params": own}, *given, train=True, rngs=rngs)  # type: ignore[return-value]

        return make_field(network, channels, std)(a, streams)

    return average


def without_codec(params: Any) -> Any:
    """The network's own parameters."""
    return {name: leaf for name, leaf in params.items() if name != KEY}


def in_forward_mode(net: nn.Module) -> nn.Module:
    """The same network, allowing ``jax.jvp``; the parameters are shared."""
    return net.clone(forward_mode=True) if hasattr(net, "forward_mode") else net


def check_shares(image_weight: float, code_dropout: float) -> None:
    """Raises a ValueError unless the weight of the image and the share without a code are shares."""
    if not (0 <= image_weight <= 1 and 0 <= code_dropout < 1):
        raise ValueError(
            f"image_weight must lie in [0, 1] and code_dropout in [0, 1), got {image_weight} and "
            f"{code_dropout}"
        )


def check_std(std: Sequence[float], channels: int) -> None:
    """Raises a ValueError unless there is a positive number for each channel, or none at all."""
    if std and (len(std) != channels or min(std) <= 0):
        raise ValueError(f"image_std needs {channels} positive numbers, got {tuple(std)}")
