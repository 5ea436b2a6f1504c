"""Conformal sets: classes that hold the true one at a stated rate, whatever the model (split conformal).

Scores say how odd a class is of an image, and a set holds the classes that are no odder than the true
classes of most calibration images were: LAC (Sadinle et al., arXiv 1609.00451), APS with its random part
(Romano et al., arXiv 2006.02544; without it sets are too large), RAPS (Angelopoulos et al., arXiv
2009.14193). The rate holds over images that are drawn as the calibration images were, of which none
chose the model.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.checks import check_labels, check_probabilities

LAC, APS, RAPS = METHODS = "lac", "aps", "raps"
PENALTY, RANK = 0.1, 2  # of RAPS: for every class beyond the first so many


def class_scores(probabilities: np.ndarray, method: str, uniform: np.ndarray) -> np.ndarray:
    """How odd each class would be, ``[N, K]``: of the true class the score that calibration collects.

    Args:
        probabilities: ``[N, K]``.
        method: one of ``METHODS``.
        uniform: the random part ``[N]`` in [0, 1), of APS and RAPS.

    Raises:
        ValueError: an unknown method, or no probabilities.
    """
    p = check_probabilities(probabilities)
    if method == LAC:
        return 1 - p
    if method not in METHODS:
        raise ValueError(f"unknown conformal score {method!r}: choose one of {', '.join(METHODS)}")
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    scores = before + np.asarray(uniform)[:, None] * ranked
    if method == RAPS:
        scores = scores + PENALTY * np.maximum(0, np.arange(1, p.shape[1] + 1) - RANK)
    back = np.argsort(order, axis=1)
    return np.take_along_axis(scores, back, axis=1)


def threshold(scores: np.ndarray, coverage: float) -> float:
    """The ceil((n + 1) coverage)-th smallest of n scores; infinite where there is none: all classes.

    Raises:
        ValueError: a coverage outside (0, 1).
    """
    if not 0 < coverage < 1:
        raise ValueError(f"the coverage of sets must lie in (0, 1), got {coverage}")
    scores = np.sort(np.asarray(scores, float))
    # (n + 1) coverage may be a whole number that floats miss by a hair.
    place = math.ceil(round((len(scores) + 1) * coverage, 9))
    return float(scores[place - 1]) if place <= len(scores) else math.inf


def needed(coverage: float) -> int:
    """The least calibration cases that a finite threshold takes."""
    return math.ceil(round(coverage / (1 - coverage), 9))


def sets(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The classes of each image's set, bool ``[N, K]``.

    Args:
        scores: ``[N, K]`` of :func:`class_scores`.
        thresholds: one for all classes, or one for each ``[K]``.
    """
    return np.asarray(scores) <= np.broadcast_to(thresholds, np.shape(scores)[1:])


def thresholds_of(
    scores: Sequence[np.ndarray], coverage: float, by_class: bool
) -> tuple[np.ndarray, list[int]]:
    """The thresholds ``[K]`` of the calibration cases' scores of their true class, class by class.

    Args:
        scores: of the cases of each class.
        coverage: wanted rate, in (0, 1).
        by_class: whether it is to hold within each class (Mondrian), not only over all images.

    Returns:
        The thresholds, and the numbers of the classes that have too few cases: their threshold is
        infinite, so that every set holds them.
    """
    if not by_class:
        every = np.concatenate([np.asarray(one, float) for one in scores])
        few = list(range(len(scores))) if len(every) < needed(coverage) else []
        return np.full(len(scores), threshold(every, coverage)), few
    found = np.array([threshold(np.asarray(one, float), coverage) for one in scores])
    return found, [k for k, one in enumerate(scores) if len(one) < needed(coverage)]


def evaluate_sets(
    labels: np.ndarray, chosen: np.ndarray, classes: Sequence[str], coverage: float, cases: int,
    subjects: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """How often sets hold the true class, and how large they are.

    Args:
        labels: int ``[N]``.
        chosen: bool ``[N, K]``, see :func:`sets`.
        classes: K class names.
        coverage: the rate that was wanted.
        cases: calibration cases n; given them, the coverage of all images yet to come is distributed as
            Beta(n + 1 - l, l) with l = floor((n + 1)(1 - coverage)), of M images as Beta-binomial.
            Where subjects have several images, which are alike, give the number of subjects.
        subjects: of these images; 0: each is of a subject of its own. M for the band.

    Returns:
        ``coverage`` with its ``band`` (95 % of what so many may show if all is as assumed), ``size``
        (mean), shares of sets of one class (``single``) and of none (``empty``), coverage by size, and
        ``classes``: of each name, count, coverage.
    """
    from scipy.stats import betabinom

    labels = check_labels(labels, len(classes))
    held, size = chosen[np.arange(len(labels)), labels], chosen.sum(axis=1)
    outside = math.floor(round((cases + 1) * (1 - coverage), 9))
    band = None
    if outside >= 1 and len(labels):
        of = subjects or len(labels)
        law = betabinom(of, cases + 1 - outside, outside)
        band = [float(law.ppf(q) / of) for q in (0.025, 0.975)]
    return {
        "wanted": coverage, "cases": cases, "coverage": float(held.mean()), "band": band,
        "size": float(size.mean()), "single": float((size == 1).mean()),
        "empty": float((size == 0).mean()),
        "by_size": [
            {"size": int(k), "count": int((size == k).sum()), "coverage": float(held[size == k].mean())}
            for k in np.unique(size)
        ],
        "classes": [
            {"name": str(name), "count": int((labels == k).sum()),
             "coverage": float(held[labels == k].mean()) if (labels == k).any() else None}
            for k, name in enumerate(classes)
        ],
    }  # fmt: skip


def uniform_of(index: np.ndarray, seed: int) -> np.ndarray:
    """The random part ``[N]`` in [0, 1) of each image, by its content alone.

    Args:
        index: number of each image, see :func:`msflow_jax.streams.content_index`.
        seed: seed of all.
    """
    return np.array([
        np.random.default_rng([seed, int(one)]).random() for one in np.asarray(index, np.uint32)
    ])  # fmt: skip
