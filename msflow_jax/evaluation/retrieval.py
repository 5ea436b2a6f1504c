"""Whether the right partner is found among all, by vectors of a common space."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.bootstrap import bootstrap_intervals
from msflow_jax.evaluation.ratios import weighted_mean

RANKS = (1, 5)


def recall(
    a: np.ndarray, b: np.ndarray, content_a: np.ndarray, content_b: np.ndarray,
    *, groups: Sequence[Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Recall at 1 and 5 in both directions.

    Right is the partner, what has equal content, and the partner of what has the query's content: of a
    report that several subjects have the image of any of them.

    Args:
        a: unit vectors ``[N, D]``.
        b: unit vectors of their partners ``[N, D]``.
        content_a: what the first show, ``[N, ...]``; equal ones are one and the same.
        content_b: what the partners show.
        groups: subject of each, for intervals.

    Returns:
        ``gallery``; for ``forward`` (a finds b) and ``backward`` the recalls and ``auroc``, the share of
        wrong partners that a right one is nearer than (0.5 by chance), with intervals; and what recall
        at 1 is by ``chance``.
    """
    scores = a @ b.T
    partners = _equal(content_a) | _equal(content_b)
    found: dict[str, Any] = {"gallery": len(a)}
    for name, matrix in (("forward", scores), ("backward", scores.T)):
        order = np.argsort(-matrix, axis=1, kind="stable")
        right = np.take_along_axis(partners, order, axis=1)
        hits = {f"recall_{k}": right[:, :k].any(axis=1).astype(float) for k in RANKS}
        hits["auroc"] = _nearer(right)
        intervals = bootstrap_intervals(
            {key: weighted_mean(values) for key, values in hits.items()}, len(a), groups=groups
        )
        found[name] = {
            **{k: {"value": float(v.mean()), "interval": intervals[k]} for k, v in hits.items()},
            "chance": float(partners.mean(axis=1).mean()),
        }
    return found


def _equal(content: np.ndarray) -> np.ndarray:
    """Which of ``[N, ...]`` are one and the same, bool ``[N, N]``."""
    flat = content.reshape(len(content), -1)
    numbers = np.unique(flat, axis=0, return_inverse=True)[1].ravel()
    return np.asarray(numbers[:, None] == numbers[None])


def _nearer(right: np.ndarray) -> np.ndarray:
    """Of rows ``[N, M]`` sorted by likeness: the share of the wrong that a right one is nearer than."""
    before = np.where(right, (~right).cumsum(axis=1), 0).sum(axis=1) / right.sum(axis=1)
    wrong = (~right).sum(axis=1)
    return np.where(wrong > 0, 1 - before / np.maximum(wrong, 1), 0.5)
