"""Which checkpoints are the best, and which are kept: pure functions of what validation said.

Two are the best: one that classifies (by ``train.select``) and one that draws (by the first of
:data:`DRAWING` that was measured). Both are functions of the metrics saved with the checkpoints.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Metrics = Mapping[str, float]
DRAWING = ("-val_jump_error", "-val_flow_loss", "-val_bits")
TIES = "val_nll"  # less is better
# Saved beside the metrics of a checkpoint: differences of the metric that say nothing, and its best
# value up to then (its sign turned where less is better): else many small steps would lead far down.
RESOLUTION, REACHED = "_resolution", "_reached"
_ROUNDING = 1e-9


def score(metrics: Metrics | None, select: str) -> float:
    """What a metric says, larger is better; -inf where it is not there or NaN.

    Args:
        metrics: what validation said of one checkpoint.
        select: name of the metric; a leading ``-`` means less is better.
    """
    sign = -1.0 if select.startswith("-") else 1.0
    value = sign * (metrics or {}).get(select.removeprefix("-"), math.nan)
    return -math.inf if math.isnan(value) else value


def best(found: Mapping[int, Metrics], select: str) -> int | None:
    """The step that classifies best, or None without checkpoints.

    Those that come within the resolution of the best value reached are equals. Among them the lower
    ``val_nll`` decides, then the later step.

    Args:
        found: what validation said, and :func:`notes`, by step.
        select: metric that picks, see :func:`score`.
    """
    if not found:
        return None
    scores = {step: score(metrics, select) for step, metrics in found.items()}
    reached = max([*scores.values(), *(m.get(REACHED, -math.inf) for m in found.values())])
    resolution = max(m.get(RESOLUTION, 0.0) for m in found.values())
    equals = [s for s in scores if scores[s] >= reached - resolution - _ROUNDING]
    if not equals:  # what reached it is lost
        equals = [s for s in scores if scores[s] == max(scores.values())]
    return max(equals, key=lambda step: (score(found[step], f"-{TIES}"), step))


def classifies_better(one: Metrics, other: Metrics, select: str, resolution: float) -> bool:
    """Whether the first of two that were validated is the better by :func:`best`; not where they tie.

    Args:
        one: what validation said of it.
        other: what it said of the other.
        select: metric that picks, see :func:`score`.
        resolution: differences of this metric that say nothing.
    """
    found = {0: one, 1: other}
    noted = {step: {**metrics, RESOLUTION: resolution} for step, metrics in found.items()}
    return best(noted, select) == 0


def classifying_alone(metrics: Metrics) -> dict[str, float]:
    """The metrics without those by which :func:`best_drawing` would pick their checkpoint."""
    return {name: value for name, value in metrics.items() if f"-{name}" not in DRAWING}


def best_drawing(found: Mapping[int, Metrics], select: str) -> int | None:
    """The step that draws best; where nothing measured that, the one that classifies best.

    Checkpoints without :func:`notes` do not count: they are of a run that did not keep this one.

    Args:
        found: what validation said by step.
        select: metric that picks the one that classifies best.
    """
    for metric in DRAWING:
        noted = {step: metrics for step, metrics in found.items() if RESOLUTION in metrics}
        scores = {step: score(metrics, metric) for step, metrics in noted.items()}
        if any(math.isfinite(value) for value in scores.values()):
            return max(scores, key=lambda step: (scores[step], step))
    return best(found, select)


def notes(
    metrics: Metrics, found: Mapping[int, Metrics], select: str, resolution: float
) -> Metrics:
    """What is saved beside the metrics of a new checkpoint, for :func:`best`.

    Args:
        metrics: what validation said of it.
        found: what is saved with the checkpoints that are there.
        select: metric that picks, see :func:`score`.
        resolution: differences of this metric that say nothing.
    """
    before = (m.get(REACHED, score(m, select)) for m in found.values())
    reached = max([score(metrics, select), *before])
    return {RESOLUTION: resolution, **({REACHED: reached} if math.isfinite(reached) else {})}


@dataclass(frozen=True)
class Keep:
    """The newest few, both best ones, and what may be the best later, as orbax asks for it.

    Attributes:
        newest: how many of the newest.
        select: metric that picks the one that classifies best.
    """

    newest: int
    select: str

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any = None) -> list[bool]:
        """Which of the checkpoints, oldest first, stay; each has ``step`` and ``metrics``."""
        found = {one.step: one.metrics or {} for one in checkpoints}
        kept = {one.step for one in checkpoints[-self.newest :]}
        chosen = best(found, self.select)
        kept |= {chosen, best_drawing(found, self.select)}
        # One of a higher metric, which lost by the likelihood, is the best again once the chosen one is
        # no longer within the resolution: else the choice would depend on how many of the newest stay.
        least = score(found.get(chosen), self.select)
        kept |= {step for step, metrics in found.items() if score(metrics, self.select) > least}
        return [one.step in kept for one in checkpoints]
