"""Which examples a step sees, and how each is moved: pure functions of (seed, step).

Numpy only, since worker processes use it as well. Whoever reads the images, from the device's memory or
through worker processes, reads the same ones in the same order and moves them the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

Plan = dict[str, np.ndarray]


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, examples: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(examples)


def batch_indices(seed: int, step: int, count: int, examples: int, batch: int) -> np.ndarray:
    """Which examples make up the batches of steps `step .. step + count - 1`.

    Every epoch is a fresh permutation; a batch may straddle two epochs, so that no example is dropped.

    Args:
        seed: Seed of the order.
        step: First step.
        count: Number of steps.
        examples: Size of the training set.
        batch: Batch size.

    Returns:
        int32 `[count, batch]`.
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
    drawn = rng.integers(0, len(members), size=shape)
    order = np.empty(shape, np.int32)
    for k, indices in enumerate(members):
        order[drawn == k] = rng.choice(indices, size=int((drawn == k).sum()))
    return order


def windows(
    seed: int, step: int, batch: int, side: int, flips: Sequence[str], shift: int
) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns to take of each image of a step: random flips and shifts.

    Args:
        seed: Seed of the run.
        step: The step.
        batch: Batch size.
        side: Rows and columns of the images.
        flips: Any of `horizontal`, `vertical`, each with probability one half.
        shift: Shift by up to this many pixels each way, the border repeated.

    Returns:
        int32 `[batch, side]` twice; image i becomes `image[rows[i]][:, columns[i]]`.

    Raises:
        ValueError: For an unknown flip.
    """
    if unknown := set(flips) - {"horizontal", "vertical"}:
        raise ValueError(f"unknown flip {sorted(unknown)}: choose 'horizontal' and / or 'vertical'")
    rng = np.random.default_rng((seed, 1, step))
    offset = rng.integers(-shift, shift, (2, batch, 1), endpoint=True)
    turned = rng.random((2, batch, 1)) < 0.5
    asked = np.array(["vertical" in flips, "horizontal" in flips])[:, None, None]
    index = np.clip(np.arange(side) + offset, 0, side - 1)
    rows, columns = np.where(turned & asked, index[..., ::-1], index).astype(np.int32)
    return rows, columns


def plan(
    seed: int,
    step: int,
    count: int,
    *,
    examples: int,
    batch: int,
    side: int,
    flips: Sequence[str] = (),
    shift: int = 0,
    variants: int = 0,
    balance: np.ndarray | None = None,
) -> Plan:
    """Everything that decides the batches of some steps; arguments as above.

    `variants` is how many flipped copies of each example are stored, 0 for none. With `balance`, the
    labels `[N]`, every class is equally frequent, and examples are drawn with replacement.

    Returns:
        `index` int32 `[count, batch]`; with variants `variant` int32 `[count, batch]`; and unless
        nothing moves `rows` and `columns` int32 `[count, batch, side]`.
    """
    if balance is None:
        out = {"index": batch_indices(seed, step, count, examples, batch)}
    else:
        draws = [np.random.default_rng((seed, 3, step + i)) for i in range(count)]
        out = {"index": np.stack([draw_balanced(balance, (batch,), rng) for rng in draws])}
    if variants:
        draws = [np.random.default_rng((seed, 2, step + i)) for i in range(count)]
        out["variant"] = np.stack([rng.integers(variants, size=batch) for rng in draws]).astype(
            np.int32
        )
    if flips or shift:
        moved = [windows(seed, step + i, batch, side, flips, shift) for i in range(count)]
        rows, columns = zip(*moved, strict=True)
        out |= {"rows": np.stack(rows), "columns": np.stack(columns)}
    return out
