"""Settings of every family that classifies."""

from typing import Any

import numpy as np

from msflow_jax.evaluation.scaling import VECTOR
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
    return None if _learned_equal(flow) else weights


def _learned_equal(flow: Any) -> bool:
    """Whether what the model has learned is of equal class frequencies."""
    return flow.config.train.balanced and not hasattr(flow.model, "class_prior")


def of_equal_classes(flow: Any) -> bool:
    """Whether probabilities are of equally frequent classes, whatever the mix of the images.

    Not with ``calibration=vector``: its biases bring the frequencies of the validation split back.

    Args:
        flow: a trained model; the prior is that of its calibration, or else of its configuration.
    """
    used = {**flow.config.sample.get("classify", {}), **flow.calibration.settings}
    if used.get("calibration") == VECTOR:
        return False
    return used.get("prior") == "uniform" or _learned_equal(flow)


def of_another_mix(flow: Any) -> str:
    """A line where an evaluation of before fitted its temperature to another mix; empty where none did.

    That is of the classes of the validation split, where probabilities are of equal frequencies.

    Args:
        flow: a trained model, as :func:`msflow_jax.open` gives it.
    """
    known = flow.calibration
    if not known.known or known.weighed or known.temperature == 1 or not of_equal_classes(flow):
        return ""
    return (
        f"the evaluation {known} is of an earlier version: its temperature {known.temperature:.3g} was "
        "fitted to the class frequencies of the validation split, but probabilities are of equal ones: "
        "evaluate again"
    )


def image_weights(flow: Any, labels: np.ndarray) -> np.ndarray | None:
    """How much each image counts ``[N]``, 1 in the mean; None where all count alike.

    Where probabilities are of equal class frequencies it is the equal share over that of the image's
    class, so that what is measured of the images is of such frequencies too.

    Args:
        flow: as for :func:`of_equal_classes`.
        labels: class numbers ``[N]``.
    """
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if not of_equal_classes(flow) or len(set(counts.tolist())) < 2:
        return None
    return len(labels) / (len(counts) * counts[inverse])
