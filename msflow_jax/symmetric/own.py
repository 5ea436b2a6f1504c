"""What is chosen for the user's own images: facts of the data and of the machine in, settings out."""

from __future__ import annotations

from typing import Any

from msflow_jax.config import default_config, leaves
from msflow_jax.data.sources.listings.own import Facts
from msflow_jax.symmetric.recipes import cpu

_SMALLEST_BATCH = 8  # as many CPU cores as are used share it
_PASSES = {True: 100, False: 300}  # over the training images, by whether the size is the small one
_STEPS = {True: (400, 2000), False: (2000, 50_000)}
_SIDES = {True: 32, False: 64}  # largest side of images in pixels


def choose(facts: Facts, *, small: bool, memory: int) -> dict[str, Any]:
    """Settings of a symmetric flow in pixels, by dotted key.

    Args:
        facts: what the images are.
        small: whether for a few CPU cores (the network of :func:`msflow_jax.symmetric.recipes.cpu`)
            or for an accelerator (the published one).
        memory: bytes of the device that hold the training images; more are read while training.
    """
    sized = dict(leaves(cpu(default_config()).to_dict())) if small else {}
    published = dict(leaves(default_config().to_dict()))
    found = {key: value for key, value in sized.items() if published[key] != value}
    side = choose_side(facts.sides[1], _SIDES[small], 4 if small else 8)
    largest = 32 if small else 64
    batch = max(_SMALLEST_BATCH, min(largest, 1 << max(0, facts.training.bit_length() - 1)))
    low, high = _STEPS[small]
    steps = min(high, max(low, _PASSES[small] * facts.training // batch))
    size = facts.training * side * side * facts.channels
    return {
        **found,
        "model.net.width": (sized or published)["model.net.width"],
        "data.name": facts.source,
        "data.side": side,
        "data.channels": facts.channels,
        "data.loader": "grain" if 4 * size > memory else "device",
        "train.batch": batch,
        "train.epochs": 0.0,
        "train.steps": steps,
    }


def choose_side(stored: int, largest: int, multiple: int) -> int:
    """The side at which images are trained on: as stored, in steps of ``multiple``, up to ``largest``.

    Args:
        stored: shorter side of the images, in pixels.
        largest: the largest side.
        multiple: what the network halves its way down by.
    """
    return min(largest, -(-stored // multiple) * multiple)
