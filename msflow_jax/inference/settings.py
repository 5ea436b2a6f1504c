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
        "natural or uniform", "class frequencies: as trained, or equal"
    ),
    "sample.classify.calibration": Setting(
        "temperature or vector or none",
        "how probabilities are scaled; vector: a bias for each class too",
    ),
}


def used_seed(config: Any, seed: int | None) -> int:
    """The seed of the noise at use: the one given, or for None that of the configuration."""
    return config.sample.seed if seed is None else seed


def prior_weights(flow: Any, prior: str) -> tuple[float, ...] | None:
    """Ratio of a class's wanted frequency to that which the model has learned; None where all are 1.

    A posterior that was learned from batches of equally many of each class (``train.balanced``) is that
    of equal frequencies already. A density of images has its classes' frequencies beside it
    (``class_prior``), those of the training images however they were drawn.

    Args:
        flow: a trained model, as :func:`msflow_jax.open` gives it.
        prior: ``natural``, as trained, or ``uniform``.

    Raises:
        ValueError: as :meth:`Info.class_weights`.
    """
    weights = flow.info.class_weights(prior)
    equal = flow.config.train.balanced and not hasattr(flow.model, "class_prior")
    return None if equal else weights
