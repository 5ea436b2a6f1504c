"""The last stages: what drawings are compared with and judged by, on all examples that serve for it."""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from msflow_jax.data import in_memory
from msflow_jax.diffusers.invariance import random_views
from msflow_jax.diffusers.model import Diffusers, Params
from msflow_jax.diffusers.objectives import Result
from msflow_jax.diffusers.pairs import mapped_source
from msflow_jax.diffusers.settings import BETWEEN, MAP, REPORT
from msflow_jax.diffusers.text import hide_words, mean_nats
from msflow_jax.training import Stage
from msflow_jax.training.source import Source

if TYPE_CHECKING:
    from msflow_jax.diffusers.curriculum import _Maker


def control_stages(make: "_Maker") -> Iterator[Stage]:
    """A regression for each of its routes, a segmenter and a decoder of reports for each modality."""
    controls = make.model.controls

    def stage(
        part: str, kind: str, name: str, objective: Callable[..., Any], pair: tuple[Source, Source]
    ) -> Stage:
        parts = [((part,), (name,))]
        return make.stage(f"{kind}-{name}", kind, objective, pair, f"{part}/{name}/.*", parts)

    for route in controls.regressed:
        objective = partial(regress_objective, make.model, route)
        yield stage("regression", "regress", BETWEEN.join(route), objective, make.pair(*route))
    if make.config.model.segmenter.modalities and not controls.segmented:
        warnings.warn(
            "model.segmenter.modalities: the data have no maps of tissues, so that there is no Dice of "
            "translations",
            stacklevel=2,
        )
    splits = {"training": in_memory(make.splits.train), "validation": make.splits.val}
    for name in controls.segmented:
        kinds = len(controls.tissues)
        train, val = (mapped_source(split, name, kinds, what) for what, split in splits.items())
        objective = partial(segment_objective, make.model, name)
        yield stage("segmenter", "segment", name, objective, (train, val))
    for name in controls.decoded:
        dropout = make.config.model.text.word_dropout
        objective = partial(decode_objective, make.model, name, dropout)
        decode = stage("decoder", "decode", name, objective, make.pair(name, REPORT))
        # It soon knows the training reports by heart: its best checkpoint is an early one.
        decode.config.eval_every = min(decode.config.eval_every, max(1, decode.config.steps // 6))
        yield decode


def regress_objective(
    model: Diffusers, route: tuple[str, str], params: Params, batch: Any, key: jax.Array, *,
    train: bool = True,
) -> Result:  # fmt: skip
    """Mean absolute error of the control of a route: it learns the median, and draws nothing."""
    source, target = route
    found = model.controls.regress(params, route, batch[source])
    loss = jnp.abs(found - batch[target]).mean()
    return loss, {"loss_absolute": loss}


def segment_objective(
    model: Diffusers, name: str, params: Params, batch: Any, key: jax.Array, *, train: bool = True
) -> Result:
    """Cross-entropy of pixels, and one minus the soft Dice of each class: lesions are few pixels."""
    logits = model.controls.segment(params, name, batch[name])
    truth = jax.nn.one_hot(batch[MAP], logits.shape[-1])
    cross = -(truth * jax.nn.log_softmax(logits)).sum(axis=-1).mean()
    axes, share = tuple(range(logits.ndim - 1)), jax.nn.softmax(logits)
    dice = (2 * (share * truth).sum(axes) + 1) / ((share + truth).sum(axes) + 1)
    return cross + 1 - dice.mean(), {"loss_cross": cross, "dice": dice.mean()}


def decode_objective(
    model: Diffusers, source: str, word_dropout: float, params: Params, batch: Any, key: jax.Array, *,
    train: bool = True,
) -> Result:  # fmt: skip
    """Negative log-likelihood of a word given those before it and a random view of the image.

    As in the codec of reports, a share of those before it is hidden.
    """
    assert model.controls.decoder is not None
    images, shown = batch[source], batch[REPORT]
    if train:
        k_view, k_words = jax.random.split(key)
        images = random_views(images, k_view, to_scale=True)
        shown = hide_words(shown, k_words, word_dropout)
    variables = {"params": params["decoder"][source]}
    logits: Any = model.controls.decoder.apply(variables, images, shown)
    loss = mean_nats(logits, batch[REPORT])
    return loss, {"loss_text": loss}
