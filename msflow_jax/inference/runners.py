"""A model's verbs over many images."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.build import Model
from msflow_jax.coupling import CouplingFlow, likelihood_map
from msflow_jax.coupling.bijections import bits_per_dimension
from msflow_jax.data import Info
from msflow_jax.data.batches import to_float, to_uint8
from msflow_jax.evaluation.auc import probability_auc
from msflow_jax.evaluation.calibration import fit_temperature, negative_log_likelihood
from msflow_jax.evaluation.segmentation import evaluate_segmentation
from msflow_jax.inference.prediction import Prediction
from msflow_jax.parallel.batched import Runner, batched
from msflow_jax.symmetric import SymmetricFlow


def own_settings(
    model: Model, settings: Mapping[str, Any], asked: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Those of a verb's settings that the model's family has, with what the user asked for.

    Args:
      model: of any family.
      settings: as configured, for all families.
      asked: changes; values that are empty or 0 change nothing.

    Raises:
      ValueError: the user asked for a setting of another family.
    """
    coupling = isinstance(model, CouplingFlow)
    foreign = ("solver", "steps", "guidance") if coupling else ("temperature",)
    wanted = {name: value for name, value in (asked or {}).items() if value}
    own = {k: v for k, v in {**settings, **wanted}.items() if k not in foreign}
    if strange := wanted.keys() - own.keys():
        family = "coupling" if coupling else "symmetric"
        raise ValueError(
            f"a {family} flow has no {min(strange)}: its settings here are {', '.join(own)}"
        )
    return own


def make_classifier(
    model: Model,
    *,
    seed: int,
    draws: int = 1,
    batch: int = 128,
    weights: tuple[float, ...] | None = None,
    temperature: float = 1.0,
    **settings: Any,
) -> Runner:
    """``runner(params, images uint8 [N, S, S, C]) -> Prediction`` of numpy arrays ``[D, N, ...]``.

    Args:
      model: any model that classifies.
      seed: of the noise.
      draws: noise draws.
      batch: images at a time.
      weights: those of :meth:`Info.class_weights`.
      temperature: of the probabilities, see :meth:`Prediction.apply_temperature`.
      settings: further ones of the model's ``classify``.

    The runner raises FloatingPointError where a reading is not finite or an adaptive solver gave up.
    """
    verb: Any = partial(model.classify, draws=draws, weights=weights, **settings)

    def function(params, images, index):
        out = verb(params, to_float(images), jax.random.key(seed), index=index)
        shape = (draws, len(index))
        ok = out.ok if out.ok.ndim == 2 else jnp.broadcast_to(out.ok[:, None], shape)
        nfe = jnp.broadcast_to(out.nfe, shape)
        return dataclasses.replace(out, nfe=nfe, ok=ok)

    run = batched(function, batch, axis=1)

    def runner(params: Any, images: np.ndarray, description: str = "") -> Prediction:
        out = run(params, images, description)
        bad = ~np.isfinite(out.distances).all(axis=(0, 2)) | ~out.ok.all(axis=0)
        if bad.any():
            raise FloatingPointError(
                f"{int(bad.sum())} of {len(bad)} readings failed (the first is image {bad.argmax()}):"
                " the parameters are damaged, or the adaptive solver needs more than its largest "
                "number of steps; use the solver 'euler'"
            )
        return out.apply_temperature(temperature)

    return runner


def configured_classifier(
    model: Model,
    info: Info,
    sample: ConfigDict,
    temperature: float = 1.0,
    asked: Mapping[str, Any] | None = None,
) -> Runner:
    """:func:`make_classifier` as the ``sample`` part of a configuration says, class prior included.

    ``asked`` as for :func:`own_settings`.
    """
    settings = own_settings(model, sample.classify.to_dict(), asked)
    weights = info.class_weights(settings.pop("prior"))
    return make_classifier(
        model, seed=sample.seed, batch=sample.batch, weights=weights, temperature=temperature,
        **settings,
    )  # fmt: skip


def make_segmenter(model: SymmetricFlow, *, seed: int, batch: int = 128, **settings: Any) -> Runner:
    """``runner(params, images uint8) -> class numbers uint8 [N, S, S]``."""

    def function(params, images, index):
        out = model.segment(params, to_float(images), jax.random.key(seed), index=index, **settings)
        return jnp.argmax(out, axis=-1).astype(jnp.uint8)

    return batched(function, batch)


def make_generator(model: Model, *, seed: int, batch: int = 128, **settings: Any) -> Runner:
    """``runner(params, labels int [N] or maps [N, S, S]) -> images uint8 [N, S, S, C]``.

    ``settings``: those of the model's ``generate`` (``steps``, ``solver`` and ``guidance``, or
    ``temperature``). The runner raises FloatingPointError where an image is not finite.
    """

    def function(params, labels, index):
        return model.generate(params, labels, jax.random.key(seed), index=index, **settings)

    run = batched(function, batch)

    def runner(params: Any, labels: np.ndarray, description: str = "") -> np.ndarray:
        return drawn(run(params, labels, description))

    return runner


def drawn(images: Any) -> np.ndarray:
    """What a model drew, ``[N, S, S, C]`` in [-1, 1], as uint8.

    Raises:
      FloatingPointError: an image is not finite.
    """
    if not np.isfinite(images).all():
        raise FloatingPointError("generated images are not finite: the parameters are damaged")
    return to_uint8(images)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Explanation:
    """Maps of N images, in nats, summed over the channels.

    Attributes:
      map: log p(x | label) entry by entry, ``[N, S, S]``; its sum is the log-density.
      contrast: the same minus that of the other label; its sum is the log-likelihood ratio.
    """

    map: Any
    contrast: Any


def make_explainer(
    model: CouplingFlow, *, seed: int, batch: int = 128, spread: str = "block"
) -> Callable[..., Explanation]:
    """``explain(params, images uint8 [N, S, S, C], labels [N], others [N]) -> Explanation``.

    The images are dequantised as in the classifier's first draw of the same seed. ``spread`` as for
    :func:`msflow_jax.coupling.likelihood_map`.
    """

    def function(params, items, index):
        images, labels, others = items
        x = model.dequantised(params, to_float(images), jax.random.key(seed), index=index)
        here, there = (likelihood_map(model, params, x, y, spread) for y in (labels, others))
        return Explanation(here.sum(axis=-1), (here - there).sum(axis=-1))

    run = batched(function, batch)

    def explain(params, images, labels, others, description: str = "") -> Explanation:
        return run(params, (images, labels, others), description)

    return explain


def make_validation(
    model: Model, images: np.ndarray, labels: np.ndarray, config: ConfigDict
) -> Callable[[Any], dict[str, float]]:
    """``parameters -> metrics`` on the validation split, for :func:`msflow_jax.training.fit`.

    Classification gives ``val_auc`` (MedMNIST's convention), ``val_accuracy`` and ``val_nll``. The
    probabilities of a coupling flow are at the temperature that fits these labels best; it also gives
    ``val_bits``, of log p(x) per dimension. A segmentation gives ``val_dice`` (mean over classes) and
    ``val_accuracy`` (of pixels).

    Args:
      model: with the parameters that are trained; for a latent model the flow alone.
      images: uint8 ``[N, S, S, C]``, or the latents ``[N, h, w, c]``.
      labels: ``[N]``, or the label maps ``[N, S, S]`` of a segmentation.
      config: the whole configuration.
    """
    chosen = own_settings(model, config.sample.classify.to_dict())
    chosen |= {"seed": config.sample.seed, "batch": config.sample.batch}
    del chosen["prior"], chosen["draws"]
    if isinstance(model, SymmetricFlow) and config.model.task == "segment":
        segment = make_segmenter(model, draws=config.train.draws, **chosen)

        def validate_maps(params: Any) -> dict[str, float]:
            out = evaluate_segmentation(labels, segment(params, images), model.classes)
            return {"val_dice": out["mean_dice"], "val_accuracy": out["accuracy"]}

        return validate_maps
    classify = make_classifier(model, draws=config.train.draws, **chosen)

    def validate(params: Any) -> dict[str, float]:
        reading = classify(params, images)
        found: dict[str, float | None] = {}
        if isinstance(model, CouplingFlow):
            assert reading.log_prob is not None
            bits = bits_per_dimension(reading.log_prob, model.dimensions)
            found["val_bits"] = float(bits.mean())
            reading = reading.apply_temperature(fit_temperature(labels, -reading.distance))
        p = reading.probability
        accuracy = np.mean(reading.prediction == labels)
        found |= {
            "val_auc": probability_auc(labels, p),
            "val_accuracy": float(accuracy),
            "val_nll": negative_log_likelihood(labels, p),
        }
        return {name: value for name, value in found.items() if value is not None}

    return validate
