"""What the stages of MedM2G minimise: text, alignment, each diffuser alone, and the links."""

from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.diffusers import epsilon
from msflow_jax.diffusers.alignment import equal_rows, infonce, mean_condition
from msflow_jax.diffusers.guidance import context_loss
from msflow_jax.diffusers.invariance import cross_correlation_loss, random_views
from msflow_jax.diffusers.model import Diffusers, Params
from msflow_jax.diffusers.text import annealed, text_loss
from msflow_jax.streams import Clock, expand, interpolate

Metrics = dict[str, jax.Array]
Result = tuple[jax.Array, Metrics]


def noisy(
    model: Diffusers, data: jax.Array, noise: jax.Array, tau: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """A modality's state at clocks ``tau [B]``, and what its diffuser should give there."""
    if model.prediction == "epsilon":
        return epsilon.noisy(data, noise, tau), noise
    states, targets = interpolate({"z": Clock.FORWARD}, {"z": data}, {"z": noise}, tau)
    return states["z"], targets["z"]


def error(given: jax.Array, target: jax.Array) -> jax.Array:
    """Mean squared error of each example ``[B]``, in float32."""
    squares = jnp.square(given.astype(jnp.float32) - target.astype(jnp.float32))
    return squares.mean(axis=tuple(range(1, squares.ndim)))


def text_objective(
    model: Diffusers, free_bits: float, word_dropout: float, params: Params, batch: Any,
    key: jax.Array, *, train: bool = True, progress: jax.Array | float = 1.0,
) -> Result:  # fmt: skip
    """Loss of the codec of reports, see :func:`text_loss`."""
    assert model.text is not None
    return text_loss(
        model.text, params["text"], batch["report"], key, beta=annealed(jnp.asarray(progress)),
        free_bits=free_bits, word_dropout=word_dropout if train else 0.0,
    )  # fmt: skip


def align_objective(
    model: Diffusers, new: str, known: str, invariance: float, params: Params, batch: Any,
    key: jax.Array, *, train: bool = True,
) -> Result:  # fmt: skip
    """InfoNCE of pairs of two modalities, and the visual-invariant term of the new one.

    Equal reports, or equal images, of a batch count as pairs too. The known one may be frozen.
    """
    k_one, k_two, k_known = jax.random.split(key, 3)
    first, partner = batch[new], batch[known]
    same = equal_rows(partner) | equal_rows(first)
    if train:
        first = _viewed(model, new, first, k_one)
        partner = _viewed(model, known, partner, k_known)
    log_scale = params["temperature"][new]
    pair = model.embed(params, new, first), model.embed(params, known, partner)
    contrast = infonce(*pair, log_scale, same)
    hits = (pair[0] @ pair[1].T).argmax(axis=1)
    right = jnp.take_along_axis(same, hits[:, None], axis=1).mean()
    metrics = {"loss_contrast": contrast, "recall": right}
    encoder = model.modalities[new].encoder
    if not encoder.views or not invariance:
        return contrast, metrics
    second = _viewed(model, new, batch[new], k_two)
    variables = {"params": params["align"][new]}
    views: Any = [encoder.apply(variables, one, method="view") for one in (first, second)]
    term = cross_correlation_loss(*views)
    return contrast + invariance * term, {**metrics, "loss_views": term}


def _viewed(model: Diffusers, name: str, x: jax.Array, key: jax.Array) -> jax.Array:
    return x if model.modalities[name].text else random_views(x, key)


def draw_objective(
    model: Diffusers, name: str, partner: str, dropout: float, params: Params, batch: Any,
    key: jax.Array, *, train: bool = True,
) -> Result:  # fmt: skip
    """Error of one diffuser alone, its condition drawn evenly: own embedding, partner's, or both.

    XGeM's multi-prompt training; own images are embedded from a random view.

    Args:
        model: the model.
        name: the modality that is drawn.
        partner: the modality it is linked with.
        dropout: share of examples without a condition.
        params: the whole tree.
        batch: both modalities.
        key: PRNG key.
        train: whether conditions are random; otherwise it is the partner's.
    """
    k_view, k_kind, k_keep, k_noise, k_time = jax.random.split(key, 5)
    other = model.embed(params, partner, batch[partner])
    condition, keep = other, jnp.ones(len(other))
    if train:
        own = model.embed(params, name, _viewed(model, name, batch[name], k_view))
        kinds = jnp.stack([own, other, mean_condition(own, other)])
        chosen = jax.random.randint(k_kind, (len(own),), 0, len(kinds))
        condition = kinds[chosen, jnp.arange(len(own))]
        keep = jax.random.bernoulli(k_keep, 1 - dropout, (len(own),)).astype(jnp.float32)
    data = model.encode(params, name, batch[name])
    tau = spread_times(k_time, len(data))
    state, target = noisy(model, data, jax.random.normal(k_noise, data.shape), tau)
    given = model.output(params, name, state, tau, jax.lax.stop_gradient(condition), keep)
    loss = error(given, target).mean()
    return loss, {f"loss_{name}": loss}


def link_objective(
    model: Diffusers, new: str, known: str, dropout: float, contrast: float, params: Params,
    batch: Any, key: jax.Array, *, train: bool = True,
) -> Result:  # fmt: skip
    """Error of two diffusers that look at each other: both drawn, or one beside the clean other.

    A third of the examples each. What is drawn has its partner's embedding as its condition, or none.

    Args:
        model: the model.
        new: the modality that is linked.
        known: the modality that it is linked to.
        dropout: share of examples without a condition.
        contrast: weight of the term that brings the context tokens of pairs together.
        params: the whole tree.
        batch: both modalities.
        key: PRNG key.
        train: no effect.
    """
    k_mode, k_keep, k_time, *k_noise = jax.random.split(key, 5)
    names, count = (new, known), len(batch[new])
    mode = jax.random.randint(k_mode, (count,), 0, 3)
    tau = spread_times(k_time, count)
    embedded = {name: model.embed(params, name, batch[name]) for name in names}
    states, targets, clocks, conditions, keep, scored = {}, {}, {}, {}, {}, {}
    for i, name in enumerate(names):
        other = names[1 - i]
        data = model.encode(params, name, batch[name])
        clean = mode == 1 + i
        clocks[name] = jnp.where(clean, 1.0, tau)
        noise = jax.random.normal(k_noise[i], data.shape)
        state, targets[name] = noisy(model, data, noise, clocks[name])
        states[name] = jnp.where(expand(clean, data), data, state)
        conditions[name] = embedded[other]
        kept = jax.random.bernoulli(jax.random.fold_in(k_keep, i), 1 - dropout, (count,))
        keep[name], scored[name] = kept.astype(jnp.float32), (~clean).astype(jnp.float32)
    outputs, told = model.together(params, states, clocks, conditions, names, keep)
    total, metrics = jnp.zeros(()), {}
    for name in names:
        of = scored[name]
        one = (of * error(outputs[name], targets[name])).sum() / jnp.maximum(of.sum(), 1)
        total += one
        metrics[f"loss_{name}"] = one
    term = context_loss(told[new], told[known], model.temperature)
    return total + contrast * term, {**metrics, "loss_context": term}


def regress_objective(
    model: Diffusers, route: tuple[str, str], params: Params, batch: Any, key: jax.Array, *,
    train: bool = True,
) -> Result:  # fmt: skip
    """Mean absolute error of the control of a route: it learns the median, and draws nothing."""
    source, target = route
    found = model.regress(params, route, batch[source])
    loss = jnp.abs(found - batch[target]).mean()
    return loss, {"loss_absolute": loss}


def spread_times(key: jax.Array, count: int) -> jax.Array:
    """Times in (0, 1), one in each of ``count`` equal parts, in random order: an even batch."""
    k_order, k_place = jax.random.split(key)
    places = (jnp.arange(count) + jax.random.uniform(k_place, (count,))) / count
    return jax.random.permutation(k_order, places)
