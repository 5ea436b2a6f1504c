"""Whether anatomy survives: Dice of tissues with intervals, and lesions that are found, lost or added.

Image measures hardly notice a lesion that is missing, or one that is not there: they are few pixels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.bootstrap import bootstrap_intervals
from msflow_jax.evaluation.ratios import Counted, mean_over, number_of, rarest, weighted_ratio

BACKGROUND, LESION = "background", "lesion"  # names of the classes of a map that mean these


def overlap(
    truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str],
    groups: Sequence[Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Dice of every class but the background, over all pixels of all images together.

    Args:
        truth: maps, int ``[N, *space]`` in 0..K-1.
        predicted: maps of the same shape.
        classes: K names.
        groups: subject of each image, for the intervals.

    Returns:
        ``{class: {"value", "interval"}}``, None of a class that neither has, and ``mean`` over those
        that the truth has, so that no row of a comparison averages over other classes than the rest.

    Raises:
        ValueError: shapes that disagree, or a label that has no name.
    """
    _check(truth, predicted, len(classes))
    axes = tuple(range(1, truth.ndim))
    named = [(k, name) for k, name in enumerate(classes) if name != BACKGROUND]
    maps = [(truth == k, predicted == k) for k, _ in named]
    both = np.stack([(a & b).sum(axes) for a, b in maps], axis=1).astype(float)  # [N, K]
    total = np.stack([a.sum(axes) + b.sum(axes) for a, b in maps], axis=1).astype(float)
    true = np.stack([a.sum(axes) for a, _ in maps], axis=1).astype(float)
    there = true.sum(axis=0) > 0

    every = weighted_ratio(2 * both, total)

    def mean(weights: np.ndarray) -> np.ndarray:
        return mean_over(np.where(weights @ true > 0, every(weights), np.nan), there)

    among = rarest(true[:, there] > 0, groups)
    metrics = {"every": every, "mean": Counted(mean, among)}
    intervals = bootstrap_intervals(metrics, len(truth), groups=groups)
    ones = np.ones((1, len(truth)))
    values = dict(zip((name for _, name in named), every(ones)[0], strict=True))
    spans = dict(zip(values, intervals["every"], strict=True))
    values, spans = {"mean": mean(ones)[0], **values}, {"mean": intervals["mean"], **spans}
    return {k: {"value": number_of(v), "interval": spans[k]} for k, v in values.items()}


def count_lesions(truth: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """How many lesions of every image are found, lost and added, int ``[N]`` each.

    A lesion is a connected part of the mask, corners included. One of the truth is found if it shares a
    pixel with one of the prediction; each counts for one partner alone (the largest number of pairs is
    taken), so that a prediction that is lesion everywhere finds one.

    Args:
        truth: where lesions are, bool ``[N, *space]``.
        predicted: the same of what is judged.

    Raises:
        ValueError: shapes that disagree.
    """
    from scipy.ndimage import label
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    _check(truth, predicted, 2)
    around = np.ones((3,) * (truth.ndim - 1), int)
    counts = np.zeros((3, len(truth)), int)
    for i, (true, given) in enumerate(zip(truth, predicted, strict=True)):
        (a, there), (b, drawn) = label(true, around), label(given, around)
        both = np.logical_and(true, given)
        pairs = csr_array((np.ones(both.sum()), (a[both] - 1, b[both] - 1)), (there, drawn))
        found = 0
        if pairs.nnz:
            found = int((maximum_bipartite_matching(pairs, "column") >= 0).sum())
        counts[:, i] = found, there - found, drawn - found
    return dict(zip(("found", "lost", "added"), counts, strict=True))


def lesion_scores(
    truth: np.ndarray, predicted: np.ndarray, groups: Sequence[Any] | None = None
) -> dict[str, Any]:
    """Recall and precision of lesions over all images, see :func:`count_lesions` for the arguments.

    Returns:
        ``recall``, found / (found + lost), and ``precision``, found / (found + added), with intervals
        over subjects (None where there is nothing to count), and the numbers ``found``, ``lost`` and
        ``added``.
    """
    counts = {k: v.astype(float) for k, v in count_lesions(truth, predicted).items()}

    def share(of: str) -> Any:
        return weighted_ratio(counts["found"], counts["found"] + counts[of])

    metrics = {"recall": share("lost"), "precision": share("added")}
    intervals = bootstrap_intervals(metrics, len(truth), groups=groups)
    ones = np.ones((1, len(truth)))
    values = {
        name: {"value": number_of(metric(ones)[0]), "interval": intervals[name]}
        for name, metric in metrics.items()
    }
    return {**values, **{name: int(of.sum()) for name, of in counts.items()}}


def _check(truth: np.ndarray, predicted: np.ndarray, classes: int) -> None:
    if truth.shape != predicted.shape or truth.ndim not in (3, 4) or not truth.size:
        raise ValueError(
            f"need two arrays [N, H, W] or [N, D, H, W], got {truth.shape} and {predicted.shape}"
        )
    for name, values in (("truth", truth), ("prediction", predicted)):
        if not 0 <= values.min() <= values.max() < classes:
            raise ValueError(
                f"the {name} holds labels outside 0..{classes - 1}: {values.min()}..{values.max()}"
            )
