"""What a stage of training measures on a validation split, and what is known of it beforehand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Validation:
    """A function from parameters to metrics that says which ones it reports.

    Attributes:
        measure: ``measure(whole tree) -> metrics``.
        metrics: what it reports, as ``train.select`` may name them: with a leading ``-`` where less is
            better.
        resolution: differences of the metric ``train.select`` that say nothing: checkpoints that differ
            by no more are equals.
    """

    measure: Callable[[Any], Mapping[str, float]]
    metrics: tuple[str, ...]
    resolution: float = 0.0

    def __call__(self, params: Any) -> Mapping[str, float]:
        """The metrics of a whole tree of parameters."""
        return self.measure(params)


def check_select(select: str, metrics: Sequence[str]) -> None:
    """Refuses a ``train.select`` that is none of these metrics, or that would pick the worst.

    Args:
        select: name of a metric, with a leading ``-`` where less is better.
        metrics: the metrics that are known, written alike.

    Raises:
        ValueError: it is none of them; they are listed.
    """
    if select not in metrics:
        turned = select.removeprefix("-") in (name.removeprefix("-") for name in metrics)
        wrong = "would keep the worst" if turned else "is no metric of this validation"
        raise ValueError(
            f"train.select={select!r} {wrong}: choose one of {', '.join(metrics)} ('-': less is better)"
        )
