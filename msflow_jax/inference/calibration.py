"""What an evaluation learned, which every command then applies alike: prior, temperature, thresholds."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.evaluation.familiar import Familiar
from msflow_jax.inference.learned import (
    as_object,
    check_conformal,
    check_reference,
    check_thresholds,
    check_types,
    is_number,
)
from msflow_jax.inference.prediction import Prediction
from msflow_jax.storage import evaluations
from msflow_jax.storage.jsons import digest_of
from msflow_jax.storage.parameters import Parameters

_KEPT = (
    *("settings", "temperature", "bias", "thresholds", "conformal", "outside"),
    *("familiar_digest", "step", "weighed"),
)  # fmt: skip
_DIGEST = "digest"
COVERAGE = 0.8  # at which images are rejected, if nothing else is requested
# Of 1 to 99 % and what keeps nearly all: who abstains on the worst 3 % means these.
_COVERAGES = np.r_[np.arange(1, 100) / 100, 0.995, 1]


@dataclass(frozen=True)
class Calibration:
    """How images are classified after an evaluation; before one, as configured.

    Attributes:
        settings: settings of ``sample.classify`` that the evaluation used, the class ``prior`` among
            them: thresholds hold for these alone. Empty before an evaluation.
        temperature: temperature of the log-probabilities, fitted on the validation split.
        bias: of the classes, where ``calibration`` is ``vector``; empty for none.
        thresholds: ``coverage`` and, for each measure of uncertainty, its largest value among the most
            confident images of the validation split up to that coverage.
        conformal: what sets are made of, see :func:`msflow_jax.inference.sets.calibrate`.
        outside: what tells images of another kind, see ``inference.kinds.learn_reference``.
        familiar_digest: of ``familiar``; empty where there is none.
        familiar: what is known of training images' features, see ``evaluation.familiar``.
        step: training step of the parameters that were evaluated; None before an evaluation.
        name: name of the evaluation; empty before one.
        reason: why nothing is applied, in words; empty where an evaluation is.
        weighed: whether it was fitted for equally frequent classes, of which the probabilities are.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    temperature: float = 1.0
    bias: Sequence[float] = ()
    thresholds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    conformal: Mapping[str, Any] = field(default_factory=dict)
    outside: Mapping[str, Any] = field(default_factory=dict)
    familiar_digest: str = ""
    familiar: Familiar | None = None
    step: int | None = None
    name: str = ""
    reason: str = ""
    weighed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """What evaluation.json keeps of it, with a digest: its name is the folder's."""
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name in _KEPT}
        if not self.weighed:  # as evaluations of before are written
            del kept["weighed"]
        return {**kept, _DIGEST: digest_of(kept)}

    def __str__(self) -> str:
        """Which evaluation is applied, for tables."""
        if not self.known:
            return ""
        return self.name if self.step is None else f"{self.name} (step {self.step})"

    @property
    def of_other_step(self) -> bool:
        """Whether there is an evaluation that is not applied, since it is of other parameters."""
        return bool(self.reason and self.name)

    @property
    def scaling(self) -> Any:
        """Temperature and biases, see :class:`msflow_jax.evaluation.scaling.Scaling`."""
        from msflow_jax.evaluation.scaling import Scaling  # here: it brings scipy

        return Scaling(self.temperature, tuple(self.bias))

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
            ValueError: coverage outside (0, 1] or below what was measured, or an unknown measure.
        """
        if not 0 < coverage <= 1:
            raise ValueError(f"coverage (--keep) must lie in (0, 1], got {coverage}")
        if not self.known:
            return None
        if measure not in self.thresholds:
            names = ", ".join(name for name in self.thresholds if name != "coverage")
            raise ValueError(f"unknown uncertainty {measure!r}: the evaluation has {names}")
        table, measured = self.thresholds, self.thresholds["coverage"]
        if coverage < measured[0]:
            raise ValueError(
                f"coverage (--keep) is {coverage}: the evaluation has thresholds from {measured[0]} on"
            )
        if len(measured) > 1 and measured[-2] < min(coverage, 0.98) and coverage < 1:
            warnings.warn(
                f"coverage (--keep) is {coverage}: the evaluation {self.name!r}, of an earlier version, "
                f"has no threshold between {measured[-2]} and 1, and more than that may be kept; "
                "evaluate again",
                stacklevel=2,
            )
        return float(np.interp(coverage, measured, table[measure]))


def measure_thresholds(prediction: Prediction) -> dict[str, list[float]]:
    """The thresholds of a validation split's predictions, as :class:`Calibration` holds them."""
    table = {
        name: np.quantile(v, _COVERAGES).tolist() for name, v in prediction.uncertainty.items()
    }
    return {"coverage": _COVERAGES.tolist(), **table}


def read_calibration(
    workdir: Path,
    step: int | None = None,
    configured: Mapping[str, Any] | None = None,
    name: str = "",
    digest: str = "",
) -> Calibration:
    """The calibration of a workdir's standing evaluation; a neutral one where there is none.

    Args:
        workdir: the workdir.
        step: training step of the parameters that are used; None for any. The evaluation of other
            parameters is not applied: neither its thresholds nor its temperature are theirs.
        name: another evaluation; empty: the one that stands.
        digest: of these parameters, see :class:`Parameters`; empty where it is not known.
        configured: settings of ``sample.classify``; those of the evaluation must be of their types.

    Raises:
        ValueError: a file is damaged, or there is no evaluation of that name.
    """
    name = name or evaluations.standing(workdir)
    if not name:
        return Calibration(
            reason=f"no evaluation in the workdir (msflow evaluate --workdir={workdir})"
        )
    path = evaluations.place(workdir, name) / evaluations.FILE
    try:
        found = _parse(content := evaluations.read(workdir, name), name)
        check_types(found.settings, configured or {})
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}): {evaluations.AGAIN}") from error
    if other := evaluations.parameters_of(content).difference(Parameters(step, digest)):
        return Calibration(name=name, reason=f"the evaluation {name!r} is {other}")
    if found.familiar_digest:
        found = replace(found, familiar=Familiar.read(path.parent, found.familiar_digest))
    return found


def _parse(found: Mapping[str, Any], name: str) -> Calibration:
    """A calibration of JSON values, each of its type.

    Raises:
        TypeError: one is of another type, or no number.
    """
    if "learned" in found:
        learned = dict(found["learned"])
        digest = learned.pop(_DIGEST, None)  # none in evaluations of before
        if digest is not None and digest != digest_of(learned):
            # An edited threshold would be applied without a word.
            raise TypeError("`learned` is not what was measured: it was edited")
        if unknown := sorted(learned.keys() - set(_KEPT)):
            raise TypeError(f"unknown entry learned.{unknown[0]}")
    else:  # of an evaluation before `learned` was written
        used = as_object(found.get("settings", {}), "settings")
        learned = {
            "settings": used.get("classify", {}),
            "temperature": as_object(found.get("calibration", {}), "calibration").get(
                "temperature", 1.0
            ),
            "thresholds": found.get("abstain", {}),
            "step": used.get("step"),
        }
    settings = as_object(learned.get("settings", {}), "settings")
    temperature, step = learned.get("temperature", 1.0), learned.get("step")
    if not is_number(temperature) or temperature <= 0:
        raise TypeError(f"the temperature is {temperature!r}")
    bias = learned.get("bias", [])
    if not isinstance(bias, list) or not all(map(is_number, bias)):
        raise TypeError(f"the biases are {bias!r}")
    if step is not None and (not isinstance(step, int) or isinstance(step, bool)):
        raise TypeError(f"the step is {step!r}")
    thresholds = as_object(learned.get("thresholds", {}), "thresholds")
    check_thresholds(thresholds)
    conformal = as_object(learned.get("conformal", {}), "conformal")
    check_conformal(conformal)
    outside = as_object(learned.get("outside", {}), "outside")
    check_reference(outside)
    known = learned.get("familiar_digest", "")
    if not isinstance(known, str):
        raise TypeError(f"the digest of features is {known!r}")
    if not isinstance(weighed := learned.get("weighed", False), bool):
        raise TypeError("weighed is neither true nor false")
    numbers = float(temperature), tuple(bias), dict(thresholds)
    return Calibration(
        dict(settings), *numbers, conformal, outside, known, step=step, name=name, weighed=weighed
    )
