"""A model's verbs over many images: a pure function of a batch each, and the same over any number."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.data.batches import to_float, to_uint8
from msflow_jax.inference import windows
from msflow_jax.inference.kept import Function, kept
from msflow_jax.inference.prediction import Prediction
from msflow_jax.parallel.batched import Runner, batched, finished


def classifying(model: Any, key: jax.Array, overlap: float = 0.5, **settings: Any) -> Function:
    """``(params, images uint8 or float, index) -> Prediction`` ``[D, B, ...]``; see ``classify``.

    Args:
        model: a model that classifies.
        key: key of the label noise.
        overlap: of the windows, where images are larger than the model.
        **settings: settings of the model's ``classify``, and ``weights``.
    """

    def function(params: Any, images: jax.Array, index: jax.Array) -> Prediction:
        out = windows.classify(model, params, to_float(images), key, overlap=overlap, **settings)
        shape = out.distances.shape[:2]
        ok = out.ok if out.ok.ndim == 2 else jnp.broadcast_to(out.ok[:, None], shape)
        return dataclasses.replace(out, nfe=jnp.broadcast_to(out.nfe, shape), ok=ok)

    return function


def generating(model: Any, key: jax.Array, **settings: Any) -> Function:
    """``(params, condition, index) -> images`` in [-1, 1]; see ``generate``."""

    def function(params: Any, condition: jax.Array, index: jax.Array) -> jax.Array:
        return model.generate(params, condition, key, index=index, **settings)

    return function


def explaining(model: Any, key: jax.Array, **settings: Any) -> Function:
    """``(params, (images, labels, others), index) -> Explanation``; see ``explain``.

    The images are dequantised as in the classifier's first draw of the same seed.
    """

    def function(params: Any, items: Any, index: jax.Array) -> Any:
        images, labels, others = items
        return model.explain(params, to_float(images), key, labels, others, **settings)

    return function


def translating(model: Any, key: jax.Array, target: str, draws: int, **settings: Any) -> Function:
    """``(params, (sources, numbers), index) -> images`` ``[K, B, *shape]`` in [-1, 1].

    See ``translate``. The noise is folded from the numbers ``[B]``, or where they are None from the
    sources' content: the index is left out.

    Args:
        model: a model that translates.
        key: key of the noise.
        target: modality to draw.
        draws: noise draws K.
        **settings: settings of the model's ``translate``.
    """

    def function(params: Any, items: Any, index: jax.Array) -> jax.Array:
        sources, numbers = items
        given = jax.tree.map(as_for_a_loss, dict(sources))

        def one(draw: jax.Array) -> jax.Array:
            own = jax.random.fold_in(key, draw)
            return model.translate(params, given, own, target=target, index=numbers, **settings)

        return jax.lax.map(one, jnp.arange(draws))

    return function


def as_for_a_loss(x: jax.Array) -> jax.Array:
    """Images uint8 to floats in [-1, 1]; rows of tokens as they are."""
    return to_float(x) if x.dtype == jnp.uint8 else x


def _checked(run: Runner, check: Callable[[Any], Any]) -> Runner:
    """A runner whose results, or those up to Ctrl-C, are given to a function, and what that returns."""

    def runner(params: Any, items: Any, description: str = "") -> Any:
        return finished(lambda: run(params, items, description), check)

    return runner


def make_translator(
    model: Any, *, seed: int, target: str, draws: int, batch: int = 128, **settings: Any
) -> Runner:
    """``runner(params, (sources, numbers), description="") -> images`` uint8 ``[K, N, *shape]``.

    Arguments as for :func:`translating`. The runner raises FloatingPointError where an image is not
    finite.
    """
    given: Any = dict(seed=seed, batch=batch, axis=1, target=target, draws=draws)
    run = kept(translating, model, **given, **settings)

    return _checked(run, to_images)


def make_joint_generator(
    model: Any, *, seed: int, modalities: Sequence[str], batch: int = 128, **settings: Any
) -> Runner:
    """``runner(params, (sources, numbers), description="")``: modalities drawn together, by name.

    The runner gives images in [-1, 1] ``[N, *shape]``, and of text tokens ``[N, T]`` with their
    log-probabilities ``[N]``. The noise is folded from the numbers ``[N]``; sources may be none.

    Args:
        model: a model of several modalities.
        seed: seed of the noise.
        modalities: names of those to draw.
        batch: how many at a time.
        **settings: settings of the model's ``generate``.
    """

    given: Any = dict(seed=seed, batch=batch, modalities=tuple(modalities))
    return kept(_drawing_together, model, **given, **settings)


def _drawing_together(
    model: Any, key: jax.Array, modalities: Sequence[str], **settings: Any
) -> Function:
    def function(params: Any, items: Any, index: jax.Array) -> dict[str, Any]:
        sources, numbers = items
        given = jax.tree.map(as_for_a_loss, dict(sources))
        drawn = dict(modalities=modalities, index=numbers, **settings)
        found = model.generate(params, given, key, **drawn)
        written = {name for name in modalities if model.modalities[name].text}
        return {k: model.write(params, z) if k in written else z for k, z in found.items()}

    return function


def make_reporter(
    model: Any, *, seed: int, draws: int, batch: int = 128, **settings: Any
) -> Runner:
    """``runner(params, sources) -> (tokens [K, N, T], log-probabilities [K, N])``; see ``report``.

    Arguments as for :func:`translating`. The runner raises FloatingPointError where a log-probability is
    not finite.
    """
    run = kept(_reporting, model, seed=seed, batch=batch, axis=1, draws=draws, **settings)

    def checked(found: Any) -> Any:
        check_logs(found[1])
        return found

    return _checked(run, checked)


def check_logs(logs: np.ndarray) -> None:
    """Raises a FloatingPointError where log-probabilities of reports are not finite."""
    if not np.isfinite(logs).all():
        raise FloatingPointError("drawn reports are not finite: the parameters are damaged")


def _reporting(model: Any, key: jax.Array, draws: int, **settings: Any) -> Function:
    def function(params: Any, sources: Mapping[str, jax.Array], index: jax.Array) -> Any:
        given = jax.tree.map(as_for_a_loss, dict(sources))

        def one(draw: jax.Array) -> Any:
            return model.report(params, given, jax.random.fold_in(key, draw), **settings)

        return jax.lax.map(one, jnp.arange(draws))

    return function


def make_embedder(model: Any, name: str, *, batch: int = 128) -> Runner:
    """``runner(params, images or tokens) -> unit vectors [N, D]``; see ``embed``.

    The runner raises FloatingPointError where a vector is not finite.
    """

    def function(params: Any, items: jax.Array, index: jax.Array) -> jax.Array:
        return model.embed(params, name, as_for_a_loss(items))

    run = batched(function, batch)

    def checked(vectors: np.ndarray) -> np.ndarray:
        if not np.isfinite(vectors).all():
            raise FloatingPointError(
                f"vectors of {name} are not finite: the parameters are damaged"
            )
        return vectors

    return _checked(run, checked)


def make_classifier(model: Any, *, seed: int, batch: int = 128, **settings: Any) -> Runner:
    """``runner(params, images, description="") -> Prediction`` of numpy arrays ``[D, N, ...]``.

    Arguments as for :func:`classifying`; ``batch``: images at a time. The runner raises
    FloatingPointError where a prediction is not finite or an adaptive solver gave up.
    """
    run = kept(classifying, model, seed=seed, batch=batch, axis=1, **settings)

    def checked(out: Prediction) -> Prediction:
        bad = ~np.isfinite(out.distances).all(axis=(0, 2)) | ~out.ok.all(axis=0)
        if bad.any():
            raise FloatingPointError(
                f"{int(bad.sum())} of {len(bad)} predictions failed (the first is image {bad.argmax()}):"
                " the parameters are damaged, or the adaptive solver needs more than its largest "
                "number of steps; use the solver 'euler'"
            )
        return out

    return _checked(run, checked)


def make_generator(model: Any, *, seed: int, batch: int = 128, **settings: Any) -> Runner:
    """``runner(params, labels [N] or maps) -> images`` uint8 ``[N, *shape]``; see :func:`generating`.

    The runner raises FloatingPointError where an image is not finite.
    """
    run = kept(generating, model, seed=seed, batch=batch, **settings)
    return _checked(run, to_images)


def make_explainer(model: Any, *, seed: int, batch: int = 128, **settings: Any) -> Runner:
    """``runner(params, (images, labels, others)) -> Explanation``; see :func:`explaining`."""
    return kept(explaining, model, seed=seed, batch=batch, **settings)


def to_images(generated: Any) -> np.ndarray:
    """What a model generated, ``[N, *shape]`` in [-1, 1], as uint8.

    Raises:
        FloatingPointError: an image is not finite.
    """
    if not np.isfinite(generated).all():
        raise FloatingPointError("generated images are not finite: the parameters are damaged")
    return to_uint8(generated)
