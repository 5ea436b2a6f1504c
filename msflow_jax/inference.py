"""A model's verbs over many images."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.batching import Runner, batched
from msflow_jax.data import Info
from msflow_jax.data.batches import to_float, to_uint8
from msflow_jax.evaluation.auc import probability_auc
from msflow_jax.evaluation.calibration import negative_log_likelihood
from msflow_jax.evaluation.segmentation import evaluate_segmentation
from msflow_jax.symmetric import LatentFlow, Reading, SymmetricFlow

Model = SymmetricFlow | LatentFlow


def make_classifier(
    model: Model,
    *,
    seed: int,
    steps: int = 1,
    draws: int = 1,
    solver: str = "euler",
    batch: int = 128,
    weights: tuple[float, ...] | None = None,
) -> Runner:
    """``runner(params, images uint8 [N, S, S, C]) -> Reading`` of numpy arrays ``[D, N, ...]``.

    Settings as for :meth:`SymmetricFlow.classify`; ``weights`` are those of :meth:`Info.class_weights`.

    The runner raises FloatingPointError where a reading is not finite or an adaptive solver gave up.
    """
    verb = partial(model.classify, steps=steps, draws=draws, solver=solver, weights=weights)

    def function(params, images, index):
        out = verb(params, to_float(images), jax.random.key(seed), index=index)
        shape = (draws, len(index))
        ok = out.ok if out.ok.ndim == 2 else jnp.broadcast_to(out.ok[:, None], shape)
        nfe = jnp.broadcast_to(out.nfe, shape)
        return Reading(out.distances, out.probabilities, out.mode, nfe, ok)

    run = batched(function, batch, axis=1)

    def runner(params: Any, images: np.ndarray, description: str = "") -> Reading:
        out = run(params, images, description)
        bad = ~np.isfinite(out.distances).all(axis=(0, 2)) | ~out.ok.all(axis=0)
        if bad.any():
            raise FloatingPointError(
                f"{int(bad.sum())} of {len(bad)} readings failed (the first is image {bad.argmax()}):"
                " the parameters are damaged, or the adaptive solver needs more than its largest "
                "number of steps; use the solver 'euler'"
            )
        return out

    return runner


def configured_classifier(model: Model, info: Info, sample: ConfigDict) -> Runner:
    """:func:`make_classifier` as the ``sample`` part of a configuration says, class prior included."""
    settings = sample.classify.to_dict()
    weights = info.class_weights(settings.pop("prior"))
    return make_classifier(model, seed=sample.seed, batch=sample.batch, weights=weights, **settings)


def make_segmenter(model: SymmetricFlow, *, seed: int, batch: int = 128, **settings: Any) -> Runner:
    """``runner(params, images uint8) -> class numbers uint8 [N, S, S]``."""

    def function(params, images, index):
        out = model.segment(params, to_float(images), jax.random.key(seed), index=index, **settings)
        return jnp.argmax(out, axis=-1).astype(jnp.uint8)

    return batched(function, batch)


def make_generator(model: Model, *, seed: int, batch: int = 128, **settings: Any) -> Runner:
    """``runner(params, labels int [N] or maps [N, S, S]) -> images uint8 [N, S, S, C]``.

    ``settings``: ``steps``, ``solver`` and ``guidance`` of :meth:`SymmetricFlow.generate`. The runner
    raises FloatingPointError where an image is not finite.
    """

    def function(params, labels, index):
        return model.generate(params, labels, jax.random.key(seed), index=index, **settings)

    run = batched(function, batch)

    def runner(params: Any, labels: np.ndarray, description: str = "") -> np.ndarray:
        images = run(params, labels, description)
        if not np.isfinite(images).all():
            raise FloatingPointError("generated images are not finite: the parameters are damaged")
        return to_uint8(images)

    return runner


def make_validation(
    model: Model, images: np.ndarray, labels: np.ndarray, config: ConfigDict
) -> Callable[[Any], dict[str, float]]:
    """``parameters -> metrics`` on the validation split, for :func:`msflow_jax.training.fit`.

    Classification gives ``val_auc`` (MedMNIST's convention), ``val_accuracy`` and ``val_nll``; a
    segmentation ``val_dice`` (mean over classes) and ``val_accuracy`` (of pixels).

    Args:
      model: with the parameters that are trained; for a latent model the flow alone.
      images: uint8 ``[N, S, S, C]``, or the latents ``[N, h, w, c]``.
      labels: ``[N]``, or the label maps ``[N, S, S]`` of a segmentation.
      config: the whole configuration.
    """
    chosen = {"seed": config.sample.seed, "batch": config.sample.batch}
    chosen |= {"steps": config.sample.classify.steps, "solver": config.sample.classify.solver}
    if isinstance(model, SymmetricFlow) and config.model.task == "segment":
        segment = make_segmenter(model, draws=config.train.draws, **chosen)

        def validate_maps(params: Any) -> dict[str, float]:
            out = evaluate_segmentation(labels, segment(params, images), model.classes)
            return {"val_dice": out["mean_dice"], "val_accuracy": out["accuracy"]}

        return validate_maps
    classify = make_classifier(model, draws=config.train.draws, **chosen)

    def validate(params: Any) -> dict[str, float]:
        reading = classify(params, images)
        p = reading.probabilities.mean(0)
        accuracy = np.mean(reading.distances.mean(0).argmin(1) == labels)
        found = {
            "val_auc": probability_auc(labels, p),
            "val_accuracy": float(accuracy),
            "val_nll": negative_log_likelihood(labels, p),
        }
        return {name: value for name, value in found.items() if value is not None}

    return validate
