"""Whether an image is of the kind that was learned: a p-value, by which ``classify`` abstains."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from msflow_jax.evaluation.familiar import Familiar
from msflow_jax.evaluation.outside import Reference
from msflow_jax.inference.prediction import Prediction

LEVEL = 0.01  # p-value at which an image is taken for one from outside
EVIDENCE = "evidence"
_MOST = 0.05  # share of images of the known kind that may be taken for others


def own_measures(prediction: Prediction) -> tuple[str, ...]:
    """The uncertainties that tell of an image's kind: a family's own, or its likelihood.

    Neither entropy nor distance does; they tell how sure a model is, and it may be sure of anything.
    """
    if prediction.measures:
        return tuple(prediction.measures)
    return (EVIDENCE,) if prediction.log_prob is not None else ()


def with_distances(prediction: Prediction, known: Familiar | None) -> Prediction:
    """The same with distances of features to those of training images among its measures."""
    if known is None or prediction.features is None:
        return prediction
    found = known.measures(np.asarray(prediction.features).mean(axis=0))
    own = {**prediction.measures, **{name: values[None] for name, values in found.items()}}
    return dataclasses.replace(prediction, measures=own)


def outdated(prediction: Prediction, known: Familiar | None, evaluation: str) -> str:
    """A line where an evaluation knows no features, of a model that has them; empty where it does.

    It came without, or is of before they were measured: noise draws did not come in pairs either then,
    so that its thresholds are of a noisier prediction.
    """
    if prediction.features is None or known is not None or not evaluation:
        return ""
    return (
        f"the evaluation {evaluation} knows no features of training images, so that nothing is taken "
        "for one from outside by them: it was pushed without (--no-features), or it is of an earlier "
        "version, and then its temperature, thresholds, sets and p-values are of noisier predictions: "
        "evaluate again with a --name of its own and --adopt"
    )


def other_settings(
    evaluated: Mapping[str, Any], requested: Mapping[str, Any], flag: str = "--"
) -> list[str]:
    """A line for each setting that thresholds were measured with otherwise than requested.

    Args:
        evaluated: settings of the evaluation.
        requested: settings that were asked for; 0 or empty: those of the evaluation.
        flag: what stands before a setting's name: ``--`` on a command line, nothing in Python.
    """
    return [
        f"{flag}{name}={value}, but thresholds, sets and p-values were measured with "
        f"{evaluated[name]}: {'' if flag else 'msflow '}evaluate --{name}={value} --name=NAME --adopt "
        "measures them so"
        for name, value in requested.items()
        if value and name in evaluated and evaluated[name] != value
    ]


def learn_reference(validation: Prediction) -> dict[str, Any]:
    """What an evaluation keeps of the validation images, none of them trained on; may be nothing."""
    names, found = own_measures(validation), validation.uncertainty
    if not names:
        return {}
    # Of a likelihood images may be too likely as well (arXiv 1906.02994).
    signed = tuple(name for name in names if name == EVIDENCE)
    made = Reference.of({name: found[name] for name in names}, signed)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(made).items()}


def reference_of(kept: Mapping[str, Any]) -> Reference | None:
    """What :func:`learn_reference` gave, as it was; None where it gave nothing."""
    return Reference(**kept) if kept else None


def level_of(known: Reference, level: float = LEVEL, themselves: bool = False) -> float:
    """The largest p-value of images that are taken for ones from outside.

    ``themselves``: whether these are its images: each is compared with the others, one fewer.

    Of fewer than 1 / level validation images none is as small: then those count that are odder than all
    of them, unless they are so few that one in twenty of the known kind would be, too.
    """
    if not level or known.least > max(level, _MOST):
        return 0.0
    return max(level, 1 / len(known.scores) if themselves else known.least)


def level_used(kept: Mapping[str, Any], level: float = LEVEL, themselves: bool = False) -> float:
    """:func:`level_of` what :func:`learn_reference` gave; 0 where nothing is taken for another kind."""
    known = reference_of(kept)
    return level_of(known, level, themselves) if known else 0.0


def check_level(level: float, kept: Mapping[str, Any]) -> str:
    """Whether images can be taken for ones from outside at a level; if not, or not quite, why.

    Raises:
        ValueError: no p-value is as small, or all are.
    """
    if not 0 <= level < 1:
        raise ValueError(f"level (--outside) must lie in [0, 1), got {level:g}")
    known = reference_of(kept)
    if not level or known is None or known.least <= level:
        return ""
    if level_of(known, level):
        return (
            f"{len(known.scores)} validation images give no p-value as small as {level:g}: "
            f"images odder than all of them ({known.least:.2g}) are abstained from"
        )
    return (
        f"{len(known.scores)} validation images are too few to tell images from outside: none "
        "is abstained from for that"
    )


def are_odd(
    uncertainty: Mapping[str, np.ndarray], kept: Mapping[str, Any], level: float = LEVEL,
    themselves: bool = False,
) -> np.ndarray:  # fmt: skip
    """Which images are taken for ones from outside ``[N]``, by a reference that is not empty."""
    known = Reference(**kept)
    return known.p_values(uncertainty, themselves) <= level_of(known, level, themselves)


def p_values(
    prediction: Prediction, kept: Mapping[str, Any], themselves: bool = False
) -> np.ndarray | None:
    """A p-value for each image ``[N]``; None where nothing is known to compare with.

    Args:
        prediction: of N images.
        kept: what :func:`learn_reference` gave.
        themselves: whether these are the images that it was learned from.
    """
    known = reference_of(kept)
    return None if known is None else known.p_values(prediction.uncertainty, themselves)
