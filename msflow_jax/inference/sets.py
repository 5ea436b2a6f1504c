"""Conformal sets of a model: an evaluation calibrates them, ``classify`` gives them."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from msflow_jax.data import some_rows
from msflow_jax.data.batches import to_float
from msflow_jax.data.splitting import held_back
from msflow_jax.inference.prediction import Prediction
from msflow_jax.streams import content_index

SCORE = "aps"  # unless another one is asked for
COVERAGE = 0.9
MORE_CASES = (
    "more validation images (a larger split val), or --config.train.calibrate_every=2 from the start "
    "of a training"
)
_MOST = 2000  # calibration cases that are kept


def random_parts(images: np.ndarray, seed: int, batch: int) -> np.ndarray:
    """The random part of each image's score ``[N]``, by its content: one image has one set."""
    from msflow_jax.evaluation.conformal import uniform_of

    starts = range(0, len(images), batch)
    parts = [np.asarray(_numbers(images[i : i + batch])) for i in starts]
    return uniform_of(np.concatenate(parts), seed) if parts else np.zeros(0)


@jax.jit
def _numbers(images: jax.Array) -> jax.Array:
    return content_index(to_float(images))


def collect(
    probability: np.ndarray, labels: np.ndarray, uniform: np.ndarray
) -> dict[str, list[list[float]]]:
    """Scores of the true class of every calibration case, by class, for each way of scoring."""
    from msflow_jax.evaluation.conformal import METHODS, class_scores

    some = some_rows(len(labels), _MOST)
    found = {}
    for method in METHODS:
        scores = class_scores(probability[some], method, uniform[some])
        found[method] = [scores[labels[some] == k, k].tolist() for k in range(scores.shape[1])]
    return found


def calibrate(run: Any) -> dict[str, Any]:
    """What an evaluation keeps for sets, of the validation images that chose no checkpoint.

    Their probabilities are those of a scaling that other subjects asked for.

    Args:
        run: an :class:`~msflow_jax.inference.evaluation.Evaluation`.

    Returns:
        ``scores`` of :func:`collect`; ``chose``: whether, for want of others, the cases are those that
        chose the checkpoint.
    """
    val, rest = run.labelled("val"), held(run)
    cases = np.flatnonzero(rest if rest.any() else ~rest)
    found = run.cross_fitted.probability[cases]
    uniform = random_parts(val.images[cases], run.sample.seed, run.sample.batch)
    return {"scores": collect(found, val.labels[cases], uniform), "chose": not rest.any()}


def held(run: Any) -> np.ndarray:
    """Which of the validation images that are classified chose no checkpoint, bool ``[N]``.

    Dealt as training dealt the examples, of which several images may be.
    """
    val, seen = run.splits["val"], run.labelled("val")
    mask = held_back(val, run.flow.config.train.get("calibrate_every", 0))
    if seen is val:
        return mask
    groups = val.groups or [str(i) for i in range(len(val))]
    subjects = {group for group, inside in zip(groups, mask, strict=True) if inside}
    return np.array([group in subjects for group in seen.groups])


def counted(groups: Sequence[str] | None, chosen: np.ndarray) -> int:
    """How many subjects the chosen images show; 0 where none has two, or it is not known.

    Args:
        groups: of whom each image is, or None.
        chosen: their numbers, or bool ``[N]``; none means all.
    """
    if groups is None:
        return 0
    of = np.asarray(groups)[chosen]
    of = of if len(of) else np.asarray(groups)
    found = len(set(of.tolist()))
    return found if found < len(of) else 0


def few_cases(val: Any, every: int) -> str:
    """A line where the validation images that choose no checkpoint cannot give sets; else empty.

    Args:
        val: the validation split.
        every: setting ``train.calibrate_every``; 0 where nothing is calibrated.
    """
    from msflow_jax.evaluation.conformal import needed

    cases = int(held_back(val, every).sum()) or len(val)
    if not every or cases >= needed(COVERAGE):
        return ""
    return (
        f"{cases} of {len(val)} validation images will calibrate conformal sets, and a rate of "
        f"{COVERAGE:g} needs {needed(COVERAGE)}: {MORE_CASES}"
    )


def check_sets(kept: Mapping[str, Any], coverage: float, workdir: object = "W") -> None:
    """Raises a ValueError where no evaluation calibrated sets, or for a rate that is none.

    Args:
        kept: ``conformal`` of the standing evaluation's :class:`Calibration`.
        coverage: wanted rate.
        workdir: folder of the run, for the command that helps.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"the coverage of sets must lie in (0, 1), got {coverage:g}")
    if not kept:
        raise ValueError(
            "no sets: the run has no standing evaluation that calibrated them: "
            f"msflow evaluate --workdir={shlex.quote(str(workdir))}"
        )


@dataclass(frozen=True)
class Found:
    """Sets of some images.

    Attributes:
        chosen: bool ``[N, K]``.
        cases: calibration cases.
        few: names of the classes that have too few cases, and are in every set.
        chose: whether the cases chose the checkpoint, so that the rate is not guaranteed.
        by_class: whether the rate is to hold within each class, so that each needs cases enough.
    """

    chosen: np.ndarray
    cases: int
    few: tuple[str, ...]
    chose: bool
    by_class: bool = False

    def names(self, classes: Sequence[str]) -> list[list[str]]:
        """The classes of each set, likeliest or not."""
        return [
            [c for c, inside in zip(classes, row, strict=True) if inside] for row in self.chosen
        ]


def sets_of(
    prediction: Prediction, uniform: np.ndarray, kept: Mapping[str, Any], *,
    coverage: float = COVERAGE, score: str = SCORE, by_class: bool = False,
) -> Found:  # fmt: skip
    """The set of each image that holds its class at a rate.

    Args:
        prediction: calibrated predictions of the images.
        uniform: of :func:`random_parts`, at least as many as images were predicted.
        kept: ``conformal`` of the standing evaluation's :class:`Calibration`.
        coverage: wanted rate in (0, 1).
        score: one of :data:`msflow_jax.evaluation.conformal.METHODS`.
        by_class: whether the rate holds within each class, not only over all images.

    Raises:
        ValueError: nothing was calibrated, an unknown score, or a rate outside (0, 1).
    """
    from msflow_jax.evaluation.conformal import class_scores, sets, thresholds_of

    check_sets(kept, coverage)
    p = prediction.probability
    scores = class_scores(p, score, uniform[: len(p)])
    cases = [np.asarray(one) for one in kept["scores"][score]]
    thresholds, few = thresholds_of(cases, coverage, by_class)
    names = tuple(prediction.classes[k] for k in few)
    count = sum(map(len, cases))
    return Found(sets(scores, thresholds), count, names, bool(kept["chose"]), by_class)


def describe_sets(found: Found, coverage: float) -> list[str]:
    """What sets are like, and what weakens them, in a line each."""
    from msflow_jax.evaluation.conformal import needed

    size = found.chosen.sum(axis=1)
    lines = [
        f"sets at a rate of {coverage:g} by {found.cases} validation images: {size.mean():.2f} classes "
        f"in the mean, {int((size == 1).sum())} of one, {int((size == 0).sum())} of none"
    ]
    if found.few:
        lines.append(
            "warning: too few calibration images for this rate of "
            f"{', '.join(found.few)}: in every set; {needed(coverage)} are needed"
            f"{' of each class' if found.by_class else ''}: {MORE_CASES}, or a lower --coverage"
        )
    if found.chose:
        lines.append(
            "warning: the calibration images also chose the checkpoint: the rate may be lower"
        )
    return lines
