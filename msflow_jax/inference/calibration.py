"""What an evaluation learned, which every command then applies alike: prior, temperature, thresholds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.inference.prediction import Prediction

_COVERAGES = np.linspace(0.05, 1, 20)


@dataclass(frozen=True)
class Calibration:
    """How images are classified after an evaluation; before one, as configured.

    Attributes:
        settings: settings of ``sample.classify`` that the evaluation used, the class ``prior`` among
            them: thresholds hold for these alone. Empty before an evaluation.
        temperature: temperature of the log-posteriors, fitted on the validation split; 1 for families
            whose probabilities are no likelihoods.
        thresholds: ``coverage`` and, for each measure of uncertainty, its largest value among the most
            confident images of the validation split up to that coverage.
        step: training step of the parameters that were evaluated; None before an evaluation.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    temperature: float = 1.0
    thresholds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    step: int | None = None

    @property
    def known(self) -> bool:
        """Whether there was an evaluation."""
        return bool(self.thresholds)

    def threshold(self, measure: str, coverage: float) -> float | None:
        """The uncertainty above which to abstain so that this fraction of images is kept.

        Args:
            measure: name of an uncertainty, see :func:`msflow_jax.inference.prediction.uncertainties`.
            coverage: fraction of the validation split that would be kept, in (0, 1].

        Returns:
            The threshold; None before an evaluation.

        Raises:
            ValueError: coverage outside (0, 1], or an unknown measure.
        """
        if not 0 < coverage <= 1:
            raise ValueError(f"--coverage must lie in (0, 1], got {coverage}")
        if not self.known:
            return None
        if measure not in self.thresholds:
            names = ", ".join(name for name in self.thresholds if name != "coverage")
            raise ValueError(f"unknown uncertainty {measure!r}: the evaluation has {names}")
        table = self.thresholds
        return float(np.interp(coverage, table["coverage"], table[measure]))


def measure_thresholds(prediction: Prediction) -> dict[str, list[float]]:
    """The thresholds of a validation split's predictions, as :class:`Calibration` holds them."""
    table = {
        name: np.quantile(v, _COVERAGES).tolist() for name, v in prediction.uncertainty.items()
    }
    return {"coverage": [round(float(c), 2) for c in _COVERAGES], **table}


def read_calibration(workdir: Path) -> Calibration:
    """The calibration in a workdir's evaluation.json; the neutral one where there is none.

    Raises:
        ValueError: the file is damaged.
    """
    path = workdir / "evaluation.json"
    if not path.exists():
        return Calibration()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if "learned" in found:
            return Calibration(**found["learned"])
        used = found.get("settings", {})  # of an evaluation before `learned` was written
        temperature = float(found.get("calibration", {}).get("temperature", 1.0))
        settings, thresholds = dict(used.get("classify", {})), dict(found.get("abstain", {}))
        return Calibration(settings, temperature, thresholds, used.get("step"))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}): evaluate the workdir again") from error
