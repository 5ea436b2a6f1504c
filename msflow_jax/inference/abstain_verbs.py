"""What a calibrated model does with its predictions: abstain from those that are too uncertain."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from msflow_jax.inference.calibration import COVERAGE, Calibration
from msflow_jax.inference.kinds import (
    LEVEL,
    are_odd,
    check_level,
    level_used,
    other_settings,
    outdated,
)
from msflow_jax.inference.prediction import Prediction
from msflow_jax.inference.settings import of_another_mix


class AbstainVerbs:
    """The verbs of :class:`~msflow_jax.inference.flow.Flow` that need an evaluation."""

    calibration: Calibration

    def abstains(
        self, prediction: Prediction, *, coverage: float = COVERAGE, measure: str = "distance",
        level: float = LEVEL,
    ) -> np.ndarray | None:  # fmt: skip
        """Which images are too uncertain to be classified, bool ``[N]``; None before an evaluation.

        Arguments, warnings and errors as of :meth:`rejections`.
        """
        found = rejected(self.calibration, prediction, coverage, measure, level)
        _warn(self, prediction, level)
        return None if found is None else np.any(list(found.values()), axis=0)

    def rejections(
        self, prediction: Prediction, *, coverage: float = COVERAGE, measure: str = "distance",
        level: float = LEVEL,
    ) -> dict[str, np.ndarray] | None:  # fmt: skip
        """Which images are rejected, bool ``[N]`` by the reason in words; None before an evaluation.

        Warns of predictions by other settings than the thresholds were measured with, of an evaluation
        of an earlier version, and of a level that its validation images are too few for.

        Args:
            prediction: what ``classify`` returned.
            coverage: fraction of the validation split that would be kept.
            measure: name of the uncertainty that decides, see :func:`uncertainties`.
            level: p-value up to which an image is of another kind, and rejected too; 0: none.

        Raises:
            ValueError: an unknown measure, a coverage outside (0, 1], or a level outside [0, 1).
        """
        found = rejected(self.calibration, prediction, coverage, measure, level)
        _warn(self, prediction, level)
        return found


def rejected(
    known: Calibration, prediction: Prediction, coverage: float = COVERAGE, measure: str = "distance",
    level: float = LEVEL, themselves: bool = False,
) -> dict[str, np.ndarray] | None:  # fmt: skip
    """:meth:`AbstainVerbs.rejections` by what an evaluation learned, without its warnings.

    ``themselves``: whether these are the images that it learned from.
    """
    found = prediction.uncertainty
    check_level(level, known.outside)
    threshold = known.threshold(measure, coverage)
    if measure not in found:
        raise ValueError(f"unknown uncertainty {measure!r}: choose one of {', '.join(found)}")
    if threshold is None:
        return None
    masks = {f"too uncertain: {measure} above {threshold:.6g}": found[measure] > threshold}
    if least := level_used(known.outside, level, themselves):
        words = f"unlike the training images: outside at most {least:.4g}"
        masks[words] = are_odd(found, known.outside, level, themselves)
    return masks


def cautions(
    flow: Any, prediction: Prediction, level: float, requested: Mapping[str, Any], flag: str = ""
) -> list[str]:  # fmt: skip
    """What a reader of rejections has to know, a line each; nothing before an evaluation.

    Args:
        flow: a trained model with what its evaluation learned.
        prediction: what is rejected.
        level: p-value up to which an image is of another kind.
        requested: settings that the images were classified with, where they are not the evaluation's.
        flag: what stands before a setting's name: ``--`` on a command line.
    """
    known = flow.calibration
    lines = [
        *other_settings(known.settings, requested, flag),
        outdated(prediction, known.familiar, str(known)), of_another_mix(flow),
        check_level(level, known.outside),
    ]  # fmt: skip
    return [line for line in lines if line]


def _warn(flow: Any, prediction: Prediction, level: float) -> None:
    if flow.calibration.known:
        for line in cautions(flow, prediction, level, dict(prediction.requested)):
            warnings.warn(line, stacklevel=3)
