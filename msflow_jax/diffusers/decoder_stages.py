"""The stages of the control of drawn reports, after those of all other controls."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import jax

from msflow_jax.diffusers.invariance import random_views
from msflow_jax.diffusers.model import Diffusers, Params
from msflow_jax.diffusers.objectives import Result
from msflow_jax.diffusers.text import hide_words, mean_nats
from msflow_jax.paired.control_stages import control_stage
from msflow_jax.paired.settings import REPORT
from msflow_jax.training import Stage

if TYPE_CHECKING:
    from msflow_jax.diffusers.curriculum import _Maker


def decoder_stages(make: "_Maker") -> Iterator[Stage]:
    """A decoder of reports for each modality that has one."""
    for name in make.model.controls.decoded:
        dropout = make.config.model.text.word_dropout
        objective = partial(decode_objective, make.model, name, dropout)
        pair = make.pair(name, REPORT)
        decode = control_stage(make, "decoder", "decode", name, objective, pair)
        # It soon knows the training reports by heart: its best checkpoint is an early one.
        decode.config.eval_every = min(decode.config.eval_every, max(1, decode.config.steps // 6))
        yield decode


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
