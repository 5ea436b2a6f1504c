"""Settings of every family that classifies."""

from typing import Any

from msflow_jax.settings import Setting

# Part of ``sample.classify``.
CLASSIFIED: dict[str, Any] = dict(
    prior="natural",  # or "uniform"
    calibration="temperature",  # or "vector", "none": fitted on the validation split
)
TABLE: dict[str, Setting] = {
    "sample.classify.prior": Setting(
        "natural or uniform", "class frequencies: of training, or equal"
    ),
    "sample.classify.calibration": Setting(
        "temperature or vector or none",
        "how probabilities are scaled; vector: a bias for each class too",
    ),
}
