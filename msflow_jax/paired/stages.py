"""A stage of a family of several modalities: its length, and the loss that chooses its checkpoints."""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from msflow_jax.paired.validation import SELECT, loss_validation
from msflow_jax.training import Stage
from msflow_jax.training.source import count_examples
from msflow_jax.training.stage import total_steps


def make_stage(
    config: ConfigDict, name: str, kind: str, objective: Callable[..., Any], pair: tuple[Any, Any],
    trains: str, start: Callable[[Any], Any], measured: Callable[..., Any] | None = None,
) -> Stage:  # fmt: skip
    """A stage as long as ``model.lengths`` says of its kind; nothing is flipped or shifted.

    Args:
        config: the whole configuration.
        name: name of the stage.
        kind: whose steps ``model.lengths`` has, relative to ``train.steps``, or to the passes over its
            own examples that ``train.epochs`` says; empty: just these.
        objective: ``(params, batch, key, *, train) -> (loss, metrics)``.
        pair: training and validation examples.
        trains: regular expression of the leaves that it trains.
        start: see :class:`~msflow_jax.training.Stage`.
        measured: what the validation measures in place of the objective.
    """
    train = ConfigDict(config.train.to_dict())
    train.select = SELECT
    length = config.model.lengths[kind] if kind else 1
    train.steps = max(1, round(length * total_steps(train, count_examples(pair[0]))))
    train.eval_every = min(train.eval_every, train.steps)
    train.flips, train.shift = False, 0
    return Stage(
        name=name, loss=objective, source=pair[0], config=train, start=start, trains=trains,
        validate=loss_validation(measured or objective, pair[1], train),
    )  # fmt: skip
