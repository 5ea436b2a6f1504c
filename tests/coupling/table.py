"""Every bijection, conditioner and option by name: the property tests take what they test from here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.coupling.bijections import AffineCoupling, Bijection, HalvesCoupling, Logit
from msflow_jax.coupling.dequantiser import Dequantiser
from msflow_jax.coupling.masks import channel_mask, checkerboard, foreground_mask
from msflow_jax.coupling.mixing import PLU, ActNorm, Dense, channel_order
from msflow_jax.coupling.reshaping import Squeeze

SPACES = {2: (4, 2), 3: (2, 4, 2)}
FOREGROUND = {2: np.array([[0, 1], [1, 1], [0, 0], [1, 0]])}
FOREGROUND[3] = np.stack([FOREGROUND[2]] * 2)
MASKS: dict[str, Callable[..., np.ndarray]] = {
    "checkerboard": checkerboard,
    "channel": channel_mask,
    "foreground": lambda space, channels, turned: foreground_mask(
        FOREGROUND[len(space)], channels, turned
    ),
}


@dataclass(frozen=True)
class Mixer:
    """A conditioner that mixes all that it sees of an image, and is not linear."""

    size: int

    def init(self, key):
        return {"weights": jnp.zeros((3, self.size, self.size))}

    def __call__(self, params, seen, number, context):
        first, *others = params["weights"] / 3
        flat = jnp.tanh(seen.reshape(len(seen), -1) @ first)
        raw, shift = ((flat @ w).reshape(seen.shape) for w in others)
        return raw + 0.1 * number, shift


@dataclass(frozen=True)
class Case:
    """A bijection with what it maps.

    Attributes:
        bijection: the bijection.
        shape: shape ``(*space, C)`` of what it maps.
        wrong: a shape ``(*space, C)`` that it cannot map; None where it maps any.
        message: what it says of that.
        context: context of its maps, for a batch of two.
        shake: how far fresh parameters are moved at random.
    """

    bijection: Bijection
    shape: tuple[int, ...]
    wrong: tuple[int, ...] | None = None
    message: str = ""
    context: Any = None
    shake: float = 0.3


def _shape(dims: int, channels: int) -> tuple[int, ...]:
    return (*SPACES[dims], channels)


def _channels(make: Callable[[int], Bijection], dims: int, channels: int) -> Case:
    wrong = _shape(dims, channels + 1)
    return Case(make(channels), _shape(dims, channels), wrong, f"of {channels} channels cannot map")


def _masked(mask: str, passes: int, turned: bool, dims: int, channels: int) -> Case:
    shape = _shape(dims, channels)
    seen = MASKS[mask](SPACES[dims], channels, turned)
    bijection = AffineCoupling(Mixer(seen.size), 0.5, passes, seen)
    return Case(bijection, shape, _shape(dims, 1), "the mask is .*, the entries are")


def _halved(passes: int, dims: int, channels: int) -> Case:
    size = int(np.prod(_shape(dims, channels)))
    wrong = _shape(dims, 3)
    bijection = HalvesCoupling(Mixer(size), 0.5, passes)
    return Case(
        bijection, _shape(dims, 2 * channels), wrong, "3 channels have no halves: squeeze first"
    )


def _seeing(dims: int, channels: int) -> Case:
    shape = _shape(dims, channels - 1)
    image = jax.random.uniform(jax.random.key(0), (2, *shape), minval=-1.0)
    message = "the mask is .*, the entries are"
    coupling = Dequantiser(shape).coupling
    return Case(coupling, shape, _shape(dims, channels), message, image, shake=0.05)


# Each takes the dimensions of space, 2 or 3, and a number of channels, 2 or 3.
BIJECTIONS: dict[str, Callable[[int, int], Case]] = {
    "actnorm": lambda dims, channels: _channels(ActNorm, dims, channels),
    "plu": lambda dims, channels: _channels(lambda c: PLU(channel_order(1, c)), dims, channels),
    "plu of one": lambda dims, _: _channels(lambda c: PLU(channel_order(0, c)), dims, 1),
    "dense": lambda dims, channels: _channels(lambda c: Dense(channel_order(1, c)), dims, channels),
    "logit": lambda dims, channels: Case(Logit(0.05), _shape(dims, channels)),
    "squeeze": lambda dims, channels: Case(
        Squeeze(), _shape(dims, channels), (3, *_shape(dims, 1)[1:]), "only even sides"
    ),
    **{f"{mask}-{n}": partial(_masked, mask, n, False) for mask in MASKS for n in (1, 2)},
    "turned": partial(_masked, "channel", 1, True),
    "half-1": partial(_halved, 1),
    "half-2": partial(_halved, 2),
    "dequantiser": _seeing,
}

CONDITIONERS: dict[str, tuple[str, dict[str, Any]]] = {
    "convolutional": ("convolutional", {"width": 8}),
    "convolutional without place": ("convolutional", {"width": 8, "spatial_bias": False}),
    "residual": ("residual", {"width": 8}),
    "generation": ("generation", {"widths": (8, 8, 16)}),
    "classification": ("classification", {"widths": (4, 8, 8)}),
    "classification, dense": ("classification", {"widths": (4, 8, 8), "dense": True}),
}

OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "dense": {"mixing": "dense"},
    "learned": {"split_prior": "learned"},
    "variational": {"dequantisation": "variational"},
    "logit": {"logit_margin": 0.05},
}
OPTIONS["all"] = {name: value for one in OPTIONS.values() for name, value in one.items()}
