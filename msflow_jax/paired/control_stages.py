"""The last stages: what drawings are compared with and judged by, on all examples that serve for it."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from msflow_jax.data import Splits, in_memory
from msflow_jax.paired.controls import Controls, Params
from msflow_jax.paired.pairs import mapped_source
from msflow_jax.paired.settings import BETWEEN, MAP
from msflow_jax.training import Stage
from msflow_jax.training.source import Source

Result = tuple[jax.Array, dict[str, jax.Array]]


class Maker(Protocol):
    """What makes the stages of a family, as far as controls need it.

    Attributes:
        config: the whole configuration.
        splits: the data.
    """

    config: ConfigDict
    splits: Splits

    def pair(self, *names: str) -> tuple[Source, Source]:
        """Training and validation examples that have all of these modalities."""

    def stage(
        self, name: str, kind: str, objective: Callable[..., Any], pair: tuple[Source, Source],
        trains: str, parts: Sequence[tuple[Sequence[str], Sequence[str]]],
    ) -> Stage:  # fmt: skip
        """A stage.

        Args:
            name: name of the stage.
            kind: whose steps ``model.lengths`` has.
            objective: ``(params, batch, key, *, train) -> (loss, metrics)``.
            pair: training and validation examples.
            trains: regular expression of the leaves that it trains.
            parts: parts of the tree of parameters that it starts, and the names under them.
        """


def control_stage(
    make: Maker, part: str, kind: str, name: str, objective: Callable[..., Any],
    pair: tuple[Source, Source],
) -> Stage:  # fmt: skip
    """The stage ``KIND-NAME`` of the control ``PART/NAME``, which trains nothing else."""
    parts = [((part,), (name,))]
    return make.stage(f"{kind}-{name}", kind, objective, pair, f"{part}/{name}/.*", parts)


def control_stages(make: Maker, controls: Controls) -> Iterator[Stage]:
    """A regression for each of its routes, a segmenter for each modality.

    Raises:
        ValueError: nothing to train one on; names what to take out of the configuration.
    """
    for route in controls.regressed:
        name, objective = BETWEEN.join(route), partial(regress_objective, controls, route)
        yield control_stage(make, "regression", "regress", name, objective, make.pair(*route))
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
        objective = partial(segment_objective, controls, name)
        yield control_stage(make, "segmenter", "segment", name, objective, (train, val))


def regress_objective(
    controls: Controls, route: tuple[str, str], params: Params, batch: Any, key: jax.Array, *,
    train: bool = True,
) -> Result:  # fmt: skip
    """Mean absolute error of the control of a route: it learns the median, and draws nothing.

    Args:
        controls: the controls of a model.
        route: source and target.
        params: the whole tree, or ``regression`` of it.
        batch: images ``[B, *shape]`` in [-1, 1] by modality.
        key: PRNG key, which it does not need.
        train: the same either way.
    """
    source, target = route
    found = controls.regress(params, route, batch[source])
    loss = jnp.abs(found - batch[target]).mean()
    return loss, {"loss_absolute": loss}


def segment_objective(
    controls: Controls, name: str, params: Params, batch: Any, key: jax.Array, *, train: bool = True
) -> Result:
    """Cross-entropy of pixels, and one minus the soft Dice of each class: lesions are few pixels.

    Args:
        controls: the controls of a model.
        name: modality.
        params: the whole tree, or ``segmenter`` of it.
        batch: its images ``[B, *shape]`` in [-1, 1], and ``map``, their classes int32 ``[B, *space]``.
        key: PRNG key, which it does not need.
        train: the same either way.
    """
    logits = controls.segment(params, name, batch[name])
    truth = jax.nn.one_hot(batch[MAP], logits.shape[-1])
    cross = -(truth * jax.nn.log_softmax(logits)).sum(axis=-1).mean()
    axes, share = tuple(range(logits.ndim - 1)), jax.nn.softmax(logits)
    dice = (2 * (share * truth).sum(axes) + 1) / ((share + truth).sum(axes) + 1)
    return cross + 1 - dice.mean(), {"loss_cross": cross, "dice": dice.mean()}
