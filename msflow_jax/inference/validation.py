"""What training measures on a validation split, for :class:`msflow_jax.training.Stage`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.evaluation.auc import probability_auc
from msflow_jax.evaluation.calibration import fit_temperature, negative_log_likelihood
from msflow_jax.evaluation.likelihood import bits_per_dimension
from msflow_jax.evaluation.segmentation import evaluate_segmentation
from msflow_jax.families import choose_settings
from msflow_jax.inference.runners import make_classifier, make_segmenter

Validate = Callable[[Any], Mapping[str, float]]
CLASSIFICATION = ("val_auc", "val_accuracy", "val_nll")
SEGMENTATION = ("val_dice", "val_accuracy")


def check_select(select: str, metrics: Sequence[str]) -> None:
    """Raises a ValueError for a ``train.select`` that is none of these metrics of a validation."""
    if select.lstrip("-") not in metrics:
        raise ValueError(
            f"train.select={select!r} is no metric of this validation: choose one of "
            f"{', '.join(metrics)} ('-NAME' where less is better)"
        )


def _settings(model: Any, verb: str, config: ConfigDict) -> dict[str, Any]:
    chosen = choose_settings(model, verb, config.sample.classify.to_dict())
    chosen |= {"draws": config.train.draws}
    return chosen | {"seed": config.sample.seed, "batch": config.sample.batch}


def make_validation(
    model: Any, images: np.ndarray, labels: np.ndarray, config: ConfigDict
) -> Validate:
    """``parameters -> metrics`` of a classification.

    ``val_auc`` (MedMNIST's convention), ``val_accuracy`` and ``val_nll``. The probabilities of a model
    with a likelihood are at the temperature that fits these labels best; it also gives ``val_bits``, the
    bits per dimension of log p(x).

    Args:
        model: a model that classifies, with the parameters that are trained.
        images: uint8 ``[N, *shape]``, or latents.
        labels: class numbers ``[N]``.
        config: whole configuration of the run.
    """
    classify = make_classifier(model, **_settings(model, "classify", config))

    def validate(params: Any) -> dict[str, float]:
        prediction = classify(params, images)
        found: dict[str, float | None] = {}
        if prediction.log_prob is not None:
            bits = bits_per_dimension(prediction.log_prob, int(np.prod(images.shape[1:])))
            found["val_bits"] = float(bits.mean())
            prediction = prediction.apply_temperature(fit_temperature(labels, -prediction.distance))
        p = prediction.probability
        found |= {
            "val_auc": probability_auc(labels, p),
            "val_accuracy": float(np.mean(prediction.prediction == labels)),
            "val_nll": negative_log_likelihood(labels, p),
        }
        return {name: value for name, value in found.items() if value is not None}

    return validate


def make_map_validation(
    model: Any, images: np.ndarray, maps: np.ndarray, config: ConfigDict
) -> Validate:
    """``parameters -> metrics`` of a segmentation: ``val_dice`` (mean over classes), ``val_accuracy``.

    Args:
        model: a model that segments.
        images: uint8 ``[N, *shape]``.
        maps: class numbers ``[N, *space]``.
        config: whole configuration of the run.
    """
    segment = make_segmenter(model, **_settings(model, "segment", config))

    def validate(params: Any) -> dict[str, float]:
        found = evaluate_segmentation(maps, segment(params, images), model.classes)
        return {"val_dice": found["mean_dice"], "val_accuracy": found["accuracy"]}

    return validate
