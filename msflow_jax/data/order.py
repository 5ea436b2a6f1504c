"""Which examples a step sees, and how each is moved: pure functions of (seed, step).

Numpy only, since worker processes use it as well. Whoever reads the images, from the device's memory or
through worker processes, reads the same ones in the same order and moves them the same way.

The generators, their seeds (the run's seed and 1 for movements, 2 for variants, 3 for balanced draws)
and the order of the calls to each are fixed: a run that goes on from a checkpoint computes the plans of
the remaining steps again, and is the same run bit for bit only while they stay as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from msflow_jax.data.modality import Modality

Plan = dict[str, Any]  # arrays, of axes a tuple of them
FLIPS = ("depth", "vertical", "horizontal")  # names of the last three space axes


@lru_cache(maxsize=8)  # two epochs for each of several sets
def _permutation(seed: int, epoch: int, examples: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(examples)


def batch_indices(seed: int, step: int, count: int, examples: int, batch: int) -> np.ndarray:
    """Which examples make up the batches of steps ``step .. step + count - 1``.

    Every epoch is a fresh permutation; a batch may straddle two epochs, so that no example is dropped.

    Args:
        seed: seed of the order.
        step: first step of the plan.
        count: number of steps.
        examples: size of the training set.
        batch: examples per step.

    Returns:
        int32 ``[count, batch]``.
    """
    position = np.arange(step * batch, (step + count) * batch)
    epochs = range(position[0] // examples, position[-1] // examples + 1)
    order = np.concatenate([_permutation(seed, e, examples) for e in epochs])
    return order[position - epochs[0] * examples].reshape(count, batch).astype(np.int32)


def draw_balanced(
    labels: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Examples int32 of this shape: each time a class drawn evenly, then one of its examples."""
    members = [np.flatnonzero(labels == k) for k in np.unique(labels)]
    classes = rng.integers(0, len(members), size=shape)
    order = np.empty(shape, np.int32)
    for k, indices in enumerate(members):
        order[classes == k] = rng.choice(indices, size=int((classes == k).sum()))
    return order


def windows(
    seed: int,
    step: int,
    batch: int,
    sides: Sequence[int],
    flips: Sequence[str],
    shift: int,
    crop: int = 0,
) -> tuple[np.ndarray, ...]:
    """The positions to take along each space axis of each example of a step: flips, shifts and crops.

    Args:
        seed: seed of the run.
        step: step whose batch is moved.
        batch: examples per step.
        sides: size along each space axis, two or three.
        flips: any of ``depth`` (volumes only), ``vertical`` and ``horizontal``, which mirror the
            third to last, the second to last and the last space axis, each with probability one half.
        shift: shift by up to this many pixels each way along every axis, the border repeated.
        crop: side of a cube (of pictures a square) at a random place of the example, of which this step
            sees no more; 0 for the whole. An axis that is shorter stays whole.

    Returns:
        int32 ``[batch, side]`` for each axis, or ``[batch, crop]``;
        ``move(example, [positions[i] for each axis])`` is example i, moved.

    Raises:
        ValueError: for an unknown flip.
    """
    names = FLIPS[-len(sides) :]
    if unknown := set(flips) - set(names):
        raise ValueError(
            f"unknown flip {sorted(unknown)}: choose {', '.join(map(repr, names[:-1]))} and / or "
            f"{names[-1]!r}"
        )
    rng = np.random.default_rng((seed, 1, step))
    # First the shifts, then the flips, for all axes at once and whether used or not: a run goes on
    # bit for bit only in this order, the same seed moves alike with and without flips, and a volume's
    # numbers are those of an image with one more axis in front.
    offsets = rng.integers(-shift, shift, (len(sides), batch, 1), endpoint=True)
    turned = rng.random((len(sides), batch, 1)) < 0.5
    places = rng.random((len(sides), batch, 1))  # last, and drawn of all: see above
    found = []
    for name, side, offset, turn, place in zip(names, sides, offsets, turned, places, strict=True):
        index = np.clip(np.arange(side) + offset, 0, side - 1)
        mirrored = index[:, ::-1] if name in flips else index
        taken = np.where(turn, mirrored, index).astype(np.int32)
        if 0 < crop < side:
            start = (place * (side - crop + 1)).astype(np.int32)
            taken = np.take_along_axis(taken, start + np.arange(crop), axis=1)
        found.append(taken)
    return tuple(found)


def cropped(sides: Sequence[int], crop: int) -> tuple[int, ...]:
    """The sides of a crop of this side; axes that are shorter stay whole, as in :func:`windows`.

    Raises:
        ValueError: the crop cuts nothing off.
    """
    if crop and crop >= max(sides):
        raise ValueError(
            f"train.crop={crop} cuts nothing off images of {' x '.join(map(str, sides))}: set it to 0, "
            "or smaller"
        )
    return tuple(min(side, crop or side) for side in sides)


def move(example: Any, positions: Iterable[Any]) -> Any:
    """Takes these positions along each space axis of one example.

    Args:
        example: an array of numpy or jax, ``[*space, ...]``.
        positions: positions ``[side]`` for each space axis.

    Returns:
        The moved example.
    """
    for axis, taken in enumerate(positions):
        example = example[(slice(None),) * axis + (taken,)]
    return example


class Movement(NamedTuple):
    """What the plan has to know of the modalities: ``plan``'s settings of these names."""

    sides: tuple[int, ...]
    flips: tuple[str, ...]
    shift: int
    variants: int
    crop: int = 0


def movement(
    modalities: Mapping[str, Modality], flips: Sequence[str], shift: int, crop: int = 0
) -> Movement:
    """How the examples of some modalities are moved: all that move, move together.

    Latents are not mirrored: their flips were encoded, and one of these variants is chosen. Images may
    stand beside latents of one variant, where nothing is mirrored.

    Args:
        modalities: what each example has.
        flips: flips to choose from, as :func:`windows` names them.
        shift: largest shift in pixels, see :func:`windows`.
        crop: side of the random crops, see :func:`windows`; 0 for none.

    Raises:
        ValueError: for modalities that cannot move together; names them.
    """
    moving = {name: m for name, m in modalities.items() if m.moves}
    variants = {name: m.variants for name, m in moving.items()}
    stored = [count if flips else max(1, count) for count in variants.values()]
    if len(set(stored)) > 1:
        raise ValueError(
            f"stored flipped variants differ: {variants} (0: none). What is one example must be "
            "flipped alike: encode all of it with the same flips, or give it as several sources"
        )
    sides = {name: m.sides for name, m in moving.items()}
    count = max(variants.values(), default=0)
    mirrored = () if count else tuple(flips)
    if len(set(sides.values())) > 1 and (mirrored or shift or crop):
        raise ValueError(
            f"space differs: {sides}. What is moved together needs the same sides: resize it, set "
            "train.flips=False, train.shift=0 and train.crop=0, or give it as several sources"
        )
    together = next(iter(sides.values()), ())
    if not together:
        return Movement((), (), 0, count)
    return Movement(together, mirrored, shift, count, crop)


def plan(
    seed: int,
    step: int,
    count: int,
    *,
    examples: int,
    batch: int,
    sides: Sequence[int] = (),
    flips: Sequence[str] = (),
    shift: int = 0,
    variants: int = 0,
    crop: int = 0,
    balance: np.ndarray | None = None,
) -> Plan:
    """Everything that decides the batches of some steps.

    Args:
        seed: seed of the run.
        step: first step of the plan.
        count: number of steps.
        examples: size of the training set.
        batch: examples per step.
        sides: size along each space axis that moves, see :func:`windows`.
        flips: flips to choose from, as :func:`windows` names them.
        shift: largest shift in pixels, see :func:`windows`.
        variants: how many flipped variants of each example are stored; 0 for none.
        crop: side of the random crops, see :func:`windows`; 0 for none.
        balance: class of each example ``[N]`` where every class is to be equally frequent; examples are
            then drawn with replacement.

    Returns:
        ``index`` int32 ``[count, batch]``; with variants ``variant`` int32 ``[count, batch]``; and
        unless nothing moves ``axes``, for each space axis the positions int32 ``[count, batch, side]``,
        or of a crop as many as it has.
    """
    if balance is None:
        out: Plan = {"index": batch_indices(seed, step, count, examples, batch)}
    else:
        draws = [np.random.default_rng((seed, 3, step + i)) for i in range(count)]
        out = {"index": np.stack([draw_balanced(balance, (batch,), rng) for rng in draws])}
    if variants:
        draws = [np.random.default_rng((seed, 2, step + i)) for i in range(count)]
        chosen = np.stack([rng.integers(variants, size=batch) for rng in draws])
        out["variant"] = chosen.astype(np.int32)
    if flips or shift or crop:
        moved = [windows(seed, step + i, batch, sides, flips, shift, crop) for i in range(count)]
        out["axes"] = tuple(np.stack(axis) for axis in zip(*moved, strict=True))
    return out


def set_seed(seed: int, name: str) -> int:
    """The seed of one of several sets that are trained on together, from the run's and its name."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big")
