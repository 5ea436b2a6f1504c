"""What the stages of SynerMedGen minimise: answers, self-reconstruction, drawing from pairs, or all."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.streams import Clock, interpolate, spread_times
from msflow_jax.synergy import conditions
from msflow_jax.synergy.augmentation import Augmentation
from msflow_jax.synergy.encoder import Seen
from msflow_jax.synergy.instances import TASKS
from msflow_jax.synergy.model import Params, Synergy
from msflow_jax.synergy.scenes import FIRST, SECOND
from msflow_jax.synergy.settings import LABEL_NOISE

Metrics = dict[str, jax.Array]
Result = tuple[jax.Array, Metrics]


def understand_objective(
    model: Synergy, places: float, letters: float, arm: str, params: Params, batch: Any,
    key: jax.Array, *, train: bool = True,
) -> Result:  # fmt: skip
    """Cross-entropy of the answers, in both forms, averaged over the instances, or over their images.

    Args:
        model: the model.
        places: weight of telling, of every place of the source, which place of which candidate is the
            same: from other places, and from the same place of neighbouring slices. Not of the paper: a
            prototype without it drew no better than the mean image.
        letters: share of the questions that the expert reads; the direct form is of all.
        arm: ``questions`` asks of single images, directly all that is known of each; of ``permuted`` the
            places of the source are in random order too, else what lies where would still be learned
            from another subject's.
        params: the whole tree.
        batch: instances, see :class:`~msflow_jax.synergy.tasks.TaskSplit`.
        key: PRNG key.
        train: whether the expert reads a share; in validation it reads all.
    """
    answer, task, shown = batch["answer"], batch["task"], batch["modality"]
    count = max(1, round(letters * len(answer))) if train else len(answer)
    order = key if arm == "permuted" else None
    found = model.answer(params, batch, order, count)
    letter, letter_right = _choice(found["letter"], answer[:count])
    panel, panel_right = _panels(found["panel"][:, 1:], shown[:count, 1:])
    if arm == "questions":
        # All that can be asked of every image, else most of what it shows would teach nothing.
        known = batch["facts"].reshape(found["facts"].shape[:-1])
        fact, fact_right = _panels(found["facts"], known)
        there = (known > 0).any(axis=-1)
        right = _choice(found["question"], answer)[1].mean()
        loss = _mean(fact, there)
        return loss + letter.mean(), {
            "loss_question": loss, "accuracy_question": right,
            "accuracy_fact": _mean(fact_right, there, jnp.nan), "accuracy_letter": letter_right.mean(),
        }  # fmt: skip
    of = {name: (task == k).astype(jnp.float32) for k, name in enumerate(TASKS)}
    select, select_right = _choice(found["selection"], answer)
    instruct, instruct_right = _choice(found["instruction"], answer)
    name, name_right = _panels(found["name"][:, 1:], shown[:, 1:])
    place, back = found["place"], found["back"]
    own = jnp.arange(place.shape[1])[None]
    forth, place_right = _choice(
        place.reshape(*place.shape[:2], -1), answer[:, None] * place.shape[3] + own
    )
    there = 0.5 * (forth + _choice(back, own)[0]).mean(axis=1)
    paneled = of["identification"][:count]
    lettered = jnp.where(paneled > 0, panel, letter)
    each = (
        of["selection"] * (select + places * there)
        + of["identification"] * name
        + of["instruction"] * instruct
    )
    # A batch without a question of a kind has no mean of it, which must not count as 0.
    mean = partial(_mean, none=jnp.nan)
    metrics = {
        "loss_selection": mean(select, of["selection"]),
        "loss_place": mean(there, of["selection"]),
        "accuracy_place": mean(place_right.mean(axis=1), of["selection"]),
        "accuracy_selection": mean(select_right, of["selection"]),
        "accuracy_identification": mean(name_right, of["identification"]),
        "accuracy_instruction": mean(instruct_right, of["instruction"]),
    }
    if not train:  # of a share of a batch there is often no question of a kind
        metrics["accuracy_letter"] = mean(letter_right, 1 - paneled)
        metrics["accuracy_panel"] = mean(panel_right, paneled)
    return each.mean() + lettered.mean(), metrics


def _choice(logits: jax.Array, answer: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy of a choice along the last axis, and whether the largest logit is right."""
    answer = jnp.broadcast_to(answer, logits.shape[:-1])
    logs = jax.nn.log_softmax(logits.astype(jnp.float32))
    loss = -jnp.take_along_axis(logs, answer[..., None], axis=-1)[..., 0]
    return loss, (logits.argmax(axis=-1) == answer).astype(jnp.float32)


def _panels(logits: jax.Array, shown: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The same averaged over the panels that are there; ``shown [..., n]`` 1 + the right one, or 0."""
    loss, right = _choice(logits, jnp.maximum(shown - 1, 0))
    there = (shown > 0).astype(jnp.float32)
    count = jnp.maximum(there.sum(axis=-1), 1)
    return (loss * there).sum(axis=-1) / count, (right * there).sum(axis=-1) / count


def _mean(values: jax.Array, weights: jax.Array, none: float = 0.0) -> jax.Array:
    weights = weights.astype(values.dtype)
    total = weights.sum()
    return jnp.where(total > 0, (values * weights).sum() / jnp.maximum(total, 1), none)


def reconstruct_objective(
    model: Synergy, dropout: tuple[float, float], named: float, augment: Augmentation, params: Params,
    batch: Any, key: jax.Array, *, train: bool = True,
) -> Result:  # fmt: skip
    """Error of what is predicted of an image behind its own content and its own look: no pairs.

    Each example shows one of its modalities, any; of a share ``named`` its name stands for its look.
    What is drawn afterwards from another modality's content was never trained.
    """
    k_pick, k_augment, k_drop, k_flow, k_noise, k_name = jax.random.split(key, 6)
    keys = k_pick, k_augment, k_noise, k_name
    shown = conditions.alone(model, named, augment, params, batch, keys, train=train)
    keep = jnp.ones((len(shown.images), 2))
    if train:
        keep = jax.random.bernoulli(k_drop, 1 - jnp.asarray(dropout)[None], keep.shape).astype(
            jnp.float32
        )
    content, words = keep.T
    memory = shown.read(model, params, words, content, content)
    loss = _flow_error(model, params, shown.images, memory, k_flow)
    return loss, {"loss_drawing": loss}


def label_objective(
    model: Synergy, params: Params, batch: Any, key: jax.Array, *, train: bool = True
) -> Result:
    """Cross-entropy of the class of an image, any of an example's; what sees it stays as it is.

    The noise on content is the model's, but at most ``LABEL_NOISE``.
    """
    k_pick, k_noise = jax.random.split(key)
    x, _ = conditions.any_of(model, batch, k_pick)
    seen = jax.lax.stop_gradient(model.see(params, x))
    if train:
        noise = min(model.noise, LABEL_NOISE) * jax.random.normal(k_noise, seen.content.shape)
        seen = seen._replace(content=seen.content + noise)
    loss, right = _choice(model.class_logits(params, seen), batch["label"])
    return loss.mean(), {"loss_class": loss.mean(), "accuracy_class": right.mean()}


def prior_objective(
    model: Synergy, params: Params, batch: Any, key: jax.Array, *, train: bool = True
) -> Result:
    """Error of what is predicted of a scene in one style, behind its content in another."""
    del train
    seen = Seen(model.see(params, batch[FIRST]).content, model.see(params, batch[SECOND]).look)
    prompt, none = jnp.zeros((len(seen.look), 1), jnp.int32), jnp.zeros(len(seen.look))
    memory = model.remember(params, prompt, none, seen)
    loss = _flow_error(model, params, batch[SECOND], memory, key)
    return loss, {"loss_drawing": loss}


def pair_objective(
    model: Synergy, dropout: tuple[float, float, float], augment: Augmentation,
    routes: tuple[tuple[str, str], ...], frozen: bool, params: Params, batch: Any, key: jax.Array, *,
    train: bool = True,
) -> Result:  # fmt: skip
    """Error of what is predicted of a target behind its source, on any route that an example has.

    Args:
        model: the model.
        dropout: shares of examples without words and name, without the source's latents, and without
            its content: 0.1, 0.3 and 0.3 in the public code.
        augment: changes of pairs, and of sources alone.
        routes: pairs (source, target) that are trained.
        frozen: whether understanding stays as it is; otherwise its expert learns from drawing too.
        params: the whole tree.
        batch: all modalities, and which of them are present.
        key: PRNG key.
        train: whether examples are changed and conditions dropped.
    """
    k_route, k_words, k_augment, k_drop, k_flow = jax.random.split(key, 5)
    keys = k_route, k_words, k_augment
    shown = conditions.paired(model, augment, routes, frozen, params, batch, keys, train=train)
    count = len(shown.images)
    named = latent = content = jnp.ones(count)
    if train:
        keeps = jax.random.bernoulli(k_drop, 1 - jnp.asarray(dropout)[None], (count, 3))
        named, latent, content = keeps.astype(jnp.float32).T
    memory = shown.read(model, params, named, content, latent)
    loss = _flow_error(model, params, shown.images, memory, k_flow)
    return loss, {"loss_drawing": loss}


def _flow_error(
    model: Synergy, params: Params, x: jax.Array, memory: Any, key: jax.Array
) -> jax.Array:
    """Mean squared error of what is predicted of images ``[B, *shape]``, at a time each."""
    k_noise, k_time = jax.random.split(key)
    data = model.encode(params, next(iter(model.modalities)), x)
    tau = spread_times(k_time, len(data), model.time)
    noise = {"z": jax.random.normal(k_noise, data.shape)}
    states, targets = interpolate({"z": Clock.FORWARD}, {"z": data}, noise, tau)
    given = model.draw(params, states["z"], tau, *memory)
    return jnp.square(given - (data if model.prediction == "data" else targets["z"])).mean()
