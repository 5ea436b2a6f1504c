"""What the stages of MedM2G minimise: text, alignment, each diffuser alone, and the links."""

from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.diffusers import epsilon
from msflow_jax.diffusers.alignment import equal_rows, infonce, mean_condition
from msflow_jax.diffusers.guidance import context_loss
from msflow_jax.diffusers.invariance import cross_correlation_loss, random_views
from msflow_jax.diffusers.model import Diffusers, Params
from msflow_jax.diffusers.text import annealed, hide_words, text_loss
from msflow_jax.paired.keys import named_key
from msflow_jax.paired.pairs import latent_name
from msflow_jax.streams import Clock, expand, interpolate, spread_times

Metrics = dict[str, jax.Array]
Result = tuple[jax.Array, Metrics]
_CLEAN = 0.75  # share of a link's examples that see a clean partner, as a translation does


def noisy(
    model: Diffusers, data: jax.Array, noise: jax.Array, tau: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """A modality's state at clocks ``tau [B]``, and what its diffuser should give there."""
    if model.prediction == "epsilon":
        return epsilon.noisy(data, noise, tau), noise
    states, targets = interpolate({"z": Clock.FORWARD}, {"z": data}, {"z": noise}, tau)
    return states["z"], targets["z"]


def carried(
    model: Diffusers, params: Params, name: str, batch: Any, key: jax.Array | None
) -> jax.Array:
    """What the diffuser of a modality learns to draw: of images their latents that were encoded before.

    Args:
        model: the model.
        params: the whole tree; the codec's are needed only where nothing was encoded before.
        name: the modality.
        batch: it, and maybe its latents.
        key: PRNG key of the posterior's sample; None for its mean.
    """
    codec, mean = model.require(name).codec, latent_name(name)
    if codec is None or mean not in batch:
        return model.encode(params, name, batch[name])
    given = {"image": batch[mean]}
    if key is not None and (deviation := latent_name(name, "deviation")) in batch:
        given["deviation"] = batch[deviation]
    noise = jax.random.key(0) if key is None else named_key(key, f"posterior/{name}")
    return codec.training(given, noise)[0]


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
    model: Diffusers, new: str, known: str, invariance: float, word_dropout: float, params: Params,
    batch: Any, key: jax.Array, *, train: bool = True,
) -> Result:  # fmt: skip
    """InfoNCE of pairs of two modalities, and the visual-invariant term of the new one.

    Equal reports, or equal images, of a batch count as pairs too. The known one may be frozen.
    """
    k_one, k_two, k_known = jax.random.split(key, 3)
    first, partner = batch[new], batch[known]
    same = equal_rows(partner) | equal_rows(first)
    if train:
        first = _viewed(model, new, first, k_one, word_dropout)
        partner = _viewed(model, known, partner, k_known, word_dropout)
    log_scale = params["temperature"][new]
    pair = model.embed(params, new, first), model.embed(params, known, partner)
    contrast = infonce(*pair, log_scale, same)
    hits = (pair[0] @ pair[1].T).argmax(axis=1)
    right = jnp.take_along_axis(same, hits[:, None], axis=1).mean()
    metrics = {"loss_contrast": contrast, "recall": right}
    encoder = model.modalities[new].encoder
    if model.modalities[new].text or not invariance:
        return contrast, metrics
    variables = {"params": params["align"][new]}
    views: Any = [
        encoder.apply(
            variables, random_views(batch[new], key, to_scale=not encoder.views), method="view"
        )
        for key in jax.random.split(k_two)
    ]
    term = cross_correlation_loss(*views)
    return contrast + invariance * term, {**metrics, "loss_views": term}


def _viewed(
    model: Diffusers, name: str, x: jax.Array, key: jax.Array, word_dropout: float = 0.0
) -> jax.Array:
    """Images as they may also have been, with lengths as they are; reports with words hidden."""
    if model.modalities[name].text:
        return hide_words(x, key, word_dropout)
    return random_views(x, key, to_scale=True)


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
    data = carried(model, params, name, batch, key if train else None)
    tau = spread_times(k_time, len(data))
    state, target = noisy(model, data, jax.random.normal(k_noise, data.shape), tau)
    given = model.output(params, name, state, tau, jax.lax.stop_gradient(condition), keep)
    loss = error(given, target).mean()
    return loss, {f"loss_{name}": loss}


def link_objective(
    model: Diffusers, names: tuple[str, ...], dropout: float, contrast: float, params: Params,
    batch: Any, key: jax.Array, *, train: bool = True,
) -> Result:  # fmt: skip
    """Error of diffusers that look at each other, each at one partner: clean, or drawn beside it.

    The partner is any of the others; its embedding is the condition, or there is none.

    Args:
        model: the model.
        names: the modalities of the link; the last one was there before.
        dropout: share of examples without a condition.
        contrast: weight of the term that brings the context tokens of pairs together.
        params: the whole tree.
        batch: all of them.
        key: PRNG key.
        train: whether latents are drawn from their posterior; otherwise it is its mean.
    """
    known, guide = names[-1], model.guide_towards(names[-1], names[0])
    k_time, *keys = jax.random.split(key, 1 + len(names))
    count = len(batch[names[0]])
    tau, ones = spread_times(k_time, count), jnp.ones(count)
    data, states, targets, drawn, clean, embedded = {}, {}, {}, {}, {}, {}
    for name, one in zip(names, keys, strict=True):
        data[name] = carried(model, params, name, batch, key if train else None)
        noise = jax.random.normal(one, data[name].shape)
        states[name], targets[name] = noisy(model, data[name], noise, tau)
        drawn[name] = model.tokens(params, name, states[name], tau, guide)
        clean[name] = model.tokens(params, name, data[name], ones, guide)
        embedded[name] = model.embed(params, name, batch[name])
    total, metrics = jnp.zeros(()), {}
    for i, name in enumerate(names):
        k_partner, k_clean, k_keep = jax.random.split(jax.random.fold_in(keys[i], 1), 3)
        others = [other for other in names if other != name]
        seen = jax.random.bernoulli(k_clean, _CLEAN, (count,))
        told = [
            model.placed(other, jnp.where(expand(seen, clean[other]), clean[other], drawn[other]))
            for other in others
        ]
        which = jax.random.randint(k_partner, (count,), 0, len(others))
        partners = {guide: pick(told, which)}
        condition = pick([embedded[other] for other in others], which)
        keep = jax.random.bernoulli(k_keep, 1 - dropout, (count,)).astype(jnp.float32)
        given = model.output(params, name, states[name], tau, condition, keep, partners)
        metrics[f"loss_{name}"] = error(given, targets[name]).mean()
        total += metrics[f"loss_{name}"]
    # Of every new one with the known one, at equal times and where one is clean.
    terms = [context_loss(drawn[new], clean[known], model.temperature) for new in names[:-1]]
    if (earlier := model.first_guide(known)) != guide:
        # Else nothing that comes later is near what was there before, and emergent routes end here.
        before = jax.lax.stop_gradient(model.tokens(params, known, data[known], ones, earlier))
        terms.append(context_loss(clean[known], before, model.temperature))
    term = jnp.stack(terms).mean()
    return total + contrast * term, {**metrics, "loss_context": term}


def pick(some: list[jax.Array], which: jax.Array) -> jax.Array:
    """Of arrays ``[B, ...]`` for each row the one that ``which [B]`` names."""
    if len(some) == 1:
        return some[0]
    return jnp.stack(some)[which, jnp.arange(len(which))]
