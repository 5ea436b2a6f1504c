"""The stages of a distilled model of several modalities: its teacher's parameters, then jumps."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from msflow_jax.paired.stages import make_stage
from msflow_jax.storage.facts import TEACHER
from msflow_jax.streams import UNIFORM
from msflow_jax.training import Stage
from msflow_jax.training.distillation import (
    ITSELF,
    check,
    distillation_loss,
    guided,
    start_from,
    without_teacher,
)
from msflow_jax.training.flow_maps import Jumped, field_loss, jump_error
from msflow_jax.training.stage import split, update

Params = Any
Making = Callable[..., Jumped]  # (student's parameters, teacher's or None, batch, key, *, train)
TAKEN = "taken"  # stage of what the teacher has beside what draws


def taken_stage(
    config: ConfigDict, init: Callable[[jax.Array], Params], pair: tuple[Any, Any], draws: str
) -> Stage:
    """One step of length zero, which keeps all of the teacher's leaves but those that draw.

    Args:
        config: whole configuration.
        init: the student's fresh parameters, of a key.
        pair: training and validation examples, which teach nothing.
        draws: regular expression of the leaves that the stages behind train.
    """
    others = rf"(?!{re.escape(TEACHER)}/)(?!(?:{draws})$).*"

    def start(tree: Params) -> Params:
        return update(tree, split(_student(config, init, tree), others)[0])

    found = make_stage(config, TAKEN, "", still, pair, others, start)
    # Without an average, whose rounding would change what is only kept.
    found.config.update(dict(steps=1, eval_every=1, learning_rate=0.0, weight_decay=0.0, ema=0.0))
    return found


def jump_stage(
    config: ConfigDict, name: str, init: Callable[[jax.Array], Params], trains: str,
    makers: Mapping[str, Making], pair: tuple[Any, Any],
) -> Stage:  # fmt: skip
    """What learns to jump; its checkpoint is the one whose four jumps end nearest to the teacher's path.

    Args:
        config: whole configuration.
        name: name of the stage.
        init: as of :func:`taken_stage`.
        trains: regular expression of the leaves that it trains.
        makers: what gives streams and maps of a batch, by the name of a part of it; of one alone the
            batch has no parts.
        pair: training and validation examples.
    """
    settings, shift = config.model.distillation, config.sample.translate.get("shift", 1.0)
    times = config.model.get("time", UNIFORM)

    def start(tree: Params) -> Params:
        return update(tree, split(_student(config, init, tree), trains)[0])

    def loss_of(make: Making) -> Any:
        def anchor(params: Params, batch: Any, key: jax.Array, *, train: bool) -> Any:
            k_data, k_times = jax.random.split(key)
            return field_loss(make(params, None, batch, k_data), k_times, times), {}

        return distillation_loss(None if guided(settings) else anchor, make, settings, shift)

    def error_of(make: Making) -> Any:
        def error(params: Params, batch: Any, key: jax.Array, *, train: bool) -> Any:
            one = make(without_teacher(params), params[TEACHER], batch, key, train=train)
            return jump_error(one, shift=shift), {}

        return error

    def of_all(of: Callable[[Making], Any]) -> Any:
        found = {part: of(make) for part, make in makers.items()}
        return summed(found) if len(found) > 1 else next(iter(found.values()))

    loss, error = of_all(loss_of), of_all(error_of)
    return make_stage(config, name, "", loss, pair, trains, start, measured=error)


def summed(objectives: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    """The sum of objectives, each of its part of a batch."""

    def objective(params: Any, batch: Any, key: jax.Array, *, train: bool = True) -> Any:
        total: Any = 0.0
        metrics: dict[str, Any] = {}
        for i, (name, one) in enumerate(objectives.items()):
            loss, found = one(params, batch[name], jax.random.fold_in(key, i), train=train)
            total += loss
            metrics |= {f"{key_}_{name}": value for key_, value in found.items()}
        return total, metrics

    return objective


def still(params: Params, batch: Any, key: jax.Array, *, train: bool = True) -> Any:
    """Nothing to minimise: what is trained stays as it starts."""
    del batch, key, train
    return 0.0 * sum(jnp.sum(leaf) for leaf in jax.tree.leaves(params)), {}


def _student(config: ConfigDict, init: Callable[[jax.Array], Params], tree: Params) -> Params:
    return start_from(tree[TEACHER], init(jax.random.key(config.train.seed)))


def check_teacher(config: ConfigDict, unguided: Sequence[str]) -> None:
    """Refuses settings of distillation that a model of several modalities cannot have.

    Raises:
        ValueError: a student that would be its own teacher, and as ``training.distillation.check``.
    """
    settings = config.model.distillation
    check(settings, unguided)
    if settings.teacher == ITSELF:
        raise ValueError(
            f"model.distillation.teacher={ITSELF!r}: a model of several modalities needs a trained one"
        )
