"""What a trained model gives away of its training images: membership inference, and nearest neighbours.

Membership by a threshold on the loss: Yeom et al. 2018 (arXiv 1709.01604); its true positives at few
false ones: Carlini et al. 2022 (arXiv 2112.03570). A stronger attack may tell more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from msflow_jax.data import some_rows
from msflow_jax.evaluation.auc import weighted_auc
from msflow_jax.evaluation.bootstrap import values_of_two
from msflow_jax.evaluation.features import shrink
from msflow_jax.evaluation.memorisation import PIXEL_SIDE, nearest
from msflow_jax.storage.text import listed

_PARTED = 2000
_FALSE = 0.01  # share of images never trained on that may be taken for training images
_LEAST = 1e-6


def rows_in_mix(
    train: np.ndarray, held_out: np.ndarray, most: int, seed: int
) -> tuple[np.ndarray, np.ndarray, dict[int, tuple[int, int]]]:
    """Training images whose classes are mixed as the held-out ones are.

    A loss differs between classes, and near images are of one class: two mixes look like a leak.

    Args:
        train: class numbers of the training images, int ``[T]``.
        held_out: of images never trained on, int ``[N]``, N at least 1.
        most: how many training images are chosen, unless fewer are held out.
        seed: seed of the choice within a class.

    Returns:
        Rows of the training images, rows of the held-out images to compare with, and how many training
        images there are and were wanted, by the number of each class that has too few: so many held-out
        images of it are left out that the mix is the same. Without a class in common, rows of any class.
    """
    sets, count = (np.asarray(train), np.asarray(held_out)), min(most, len(held_out))
    kinds, there = np.unique(sets[1], return_counts=True)
    share = count * there / len(held_out)
    wanted = share.astype(int)
    wanted[np.argsort(wanted - share, kind="stable")[: count - wanted.sum()]] += 1
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(one)) for one in sets]
    chosen: tuple[list[int], list[int]] = ([], [])
    short = {}
    for k, want, held in zip(kinds.tolist(), wanted.tolist(), there.tolist(), strict=True):
        own, others = (o[of[o] == k].tolist() for o, of in zip(orders, sets, strict=True))
        if len(own) < want:
            short[k] = len(own), want
            others = others[: held * len(own) // want]
        chosen[0].extend(own[:want])
        chosen[1].extend(others)
    if not chosen[0]:
        return some_rows(len(train), count, seed), np.arange(len(held_out)), short
    return np.sort(chosen[0]), np.sort(chosen[1]), short


def too_few(short: Mapping[int, tuple[int, int]], classes: Sequence[str]) -> list[str]:
    """A sentence on the classes of which :func:`rows_in_mix` found too few training images."""
    named = [f"{classes[k]} ({here} of {wanted})" for k, (here, wanted) in short.items()]
    if not named:
        return []
    return [
        f"Too few training images for the validation images' mix of classes: {listed(named)}; as many "
        "validation images fewer are compared with."
    ]


def membership(
    members: np.ndarray, others: np.ndarray, groups: Sequence[Any] | None = None
) -> dict[str, Any]:
    """How well a loss tells training images from others, with 95 % intervals over subjects.

    Args:
        members: loss of training images ``[M]``; the smaller, the more likely is membership. Classes
            should be mixed as in ``others``, see :func:`rows_in_mix`.
        others: loss of images never trained on ``[N]``.
        groups: subject of each of both, members first ``[M + N]``; None: all differ.

    Returns:
        ``auroc`` (0.5 where nothing is given away) and ``tpr``, the share of members that are told at
        no more than ``fpr`` = 1 % of the others, each with its interval, None with the reason under
        ``undefined``, see :func:`values_of_two`; ``expected_tpr`` is what images that were not trained
        on have.
    """
    scores = -np.concatenate([members, others]).astype(float)
    inside = np.arange(len(scores)) < len(members)

    def told(weights: np.ndarray) -> float:
        drawn = np.repeat(np.arange(len(scores)), weights.astype(int))
        outside = np.sort(scores[drawn[~inside[drawn]]])[::-1]
        own = scores[drawn[inside[drawn]]]
        if not len(own) or not len(outside):
            return float("nan")
        return float((own > outside[int(_FALSE * len(outside))]).mean())

    names = range(len(scores)) if groups is None else groups
    found = values_of_two({
        "auroc": lambda weights: weighted_auc(inside, scores, weights),
        "tpr": lambda weights: np.array([told(row) for row in weights]),
    }, names[: len(members)], names[len(members) :])  # fmt: skip
    expected = (1 + int(_FALSE * len(others))) / (1 + len(others))
    counts = {"members": len(members), "others": len(others)}
    return {**counts, **found, "fpr": _FALSE, "expected_tpr": expected}


def neighbour_ratios(
    generated: np.ndarray, train: np.ndarray, held_out: np.ndarray,
    flips: Sequence[str] = (), seed: int = 0, groups: Sequence[Sequence[Any]] = (),
) -> dict[str, Any]:  # fmt: skip
    """Whether drawn images lie nearer to training images than to as many that were never trained on.

    Args:
        generated: drawn images, uint8 ``[M, *space, C]``.
        train: training images, uint8 ``[T, *space, C]``; as many as are held out are compared with, best
            of the same mix of classes, see :func:`rows_in_mix`.
        held_out: images never trained on, uint8 ``[N, *space, C]``.
        flips: axes along which images are mirrored too, see ``memorisation.nearest_training``.
        seed: of the choice.
        groups: subject of each training and of each held-out image; empty: all differ.

    Returns:
        ``nearer``: share of drawn images whose nearest is a training image (ties count half), and what
        95 % of random ways to part the same real images, by subject, into two sets give (``chance``):
        a few of them may be the nearest of many. ``ratio``: median and 5th percentile of the distance to
        the nearest training image over that to the nearest other one, about 1 where nothing is given
        away.
    """
    rng, count = np.random.default_rng(seed), min(len(train), len(held_out))
    rows = [np.sort(rng.permutation(len(one))[:count]) for one in (train, held_out)]
    small = [shrink(x, PIXEL_SIDE) for x in (generated, train[rows[0]], held_out[rows[1]])]
    (own, first), (other, second) = (nearest(small[0], one, flips) for one in small[1:])
    # How many drawn images each real one is the nearest of, training images first.
    share = np.where(own < other, 1.0, np.where(own == other, 0.5, 0.0))
    of_each = np.zeros(2 * count)
    np.add.at(of_each, first, share)
    np.add.at(of_each, count + second, 1 - share)
    subjects: Sequence[Any] = range(2 * count)
    if groups:
        subjects = [
            one for of, row in zip(groups, rows, strict=True) for one in np.asarray(of)[row]
        ]
    parted = _parted(of_each, subjects, count, rng)
    ratio = np.maximum(own, _LEAST) / np.maximum(other, _LEAST)
    chance = np.quantile(parted, [0.025, 0.975]) / len(own)
    return {
        "generated": len(own), "compared": count,
        "nearer": {"value": float(share.mean()), "chance": chance.tolist()},
        "ratio": {"median": float(np.median(ratio)), "p5": float(np.percentile(ratio, 5))},
    }  # fmt: skip


def _parted(
    values: np.ndarray, groups: Sequence[Any], count: int, rng: np.random.Generator
) -> list[float]:
    """Sums over random sets of whole subjects that have about so many images together."""
    names, of_image = np.unique([str(one) for one in groups], return_inverse=True)
    sums, sizes = np.bincount(of_image, weights=values), np.bincount(of_image)
    found = []
    for _ in range(_PARTED):
        order = rng.permutation(len(names))
        last = np.abs(sizes[order].cumsum() - count).argmin()
        found.append(float(sums[order[: last + 1]].sum()))
    return found
