"""``fit``: the loop around the step. It knows no family, only ``init`` and ``loss``."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from msflow_jax.parallel.sharding import (
    check_batch,
    make_mesh,
    replicated,
    split_batch,
    table,
)
from msflow_jax.storage.checkpoints import Checkpoints
from msflow_jax.training.feed import BatchSource, open_batches
from msflow_jax.training.monitor import watch as _watch
from msflow_jax.training.optimiser import make_optimiser
from msflow_jax.training.preemption import Preemption
from msflow_jax.training.source import Source, Sources, count_examples
from msflow_jax.training.step import (
    Model,
    TrainState,
    create_state,
    from_items,
    make_steps,
    to_items,
)

Validate = Callable[[Any], Mapping[str, float]]


class Stopped(RuntimeError):
    """Training ended before its time; the message says where, why, and what is kept."""


class Preempted(Stopped):
    """SIGTERM ended training; all is saved, and the same call goes on from there."""


def total_steps(config: ConfigDict, examples: int) -> int:
    """Length of the run: ``steps`` where given, else ``epochs`` passes over the examples."""
    if config.steps:
        return config.steps
    return max(1, round(config.epochs * examples / config.batch))


def fit(
    model: Model,
    data: Sources | Mapping[str, np.ndarray],
    config: ConfigDict,
    workdir: Path,
    *,
    flips: tuple[str, ...] = (),
    validate: Validate | None = None,
    initial: Any = None,
    progress: bool = True,
) -> TrainState:
    """Train, or go on training: the newest checkpoint of the workdir is where it resumes.

    Args:
      model: pure methods ``init`` and ``loss``.
      data: a source, which is kept on the device whole; a stream, which is read while training and gives
        the same run; several of them by name; or the arrays of a source, ``image`` uint8
        ``[N, S, S, C]`` and ``label`` int32 ``[N]``.
      config: the ``train`` part of a configuration (see ``msflow_jax/defaults.py``).
      workdir: gets ``checkpoints/``, ``metrics.jsonl`` and ``tensorboard/``.
      flips: random flips of the training images; empty for those of the source.
      validate: ``parameters -> metrics``, called with the moving average every ``eval_every`` steps;
        its metric ``select`` picks the best checkpoint.
      initial: parameters that a fresh run begins with, instead of ``model.init``'s.
      progress: whether to draw a progress bar.

    Returns:
      The final state.

    Raises:
      ValueError: an empty training set, or a batch that the devices do not divide.
      Preempted: SIGTERM came; the state is saved.
      Stopped: the loss is not finite; the step and the batch are named.
    """
    source = _source(data, flips)
    examples = count_examples(source)
    mesh = make_mesh(**config.mesh)
    check_batch(config.batch, mesh, config.accumulate)
    steps = total_steps(config, examples)
    optimiser, schedule = make_optimiser(config, steps)
    state, homes = create_state(model, optimiser, config.seed, mesh, config.sharding, initial)
    if progress and config.sharding != "replicated" and jax.process_index() == 0:
        print(table(state.params, mesh, config.sharding))
    with (
        Checkpoints(workdir / "checkpoints", keep=config.keep, select=config.select) as checkpoints,
        Preemption() as preemption,
    ):
        found = checkpoints.restore(to_items(state))
        state = from_items(found) if found else state
        step = int(state.step)
        with (
            open_batches(source, config, mesh, step, steps) as batches,
            _watch(workdir, config, step, steps, progress) as watch,
        ):
            run = _compiled(model, optimiser, batches, config, mesh, homes)
            while step < steps:
                count = _until_stop(step, steps, config)
                with watch.waiting():
                    plan, indices = batches.take(step, count)
                with watch.trace(step):
                    state, metrics = run(state, batches.data, plan)
                    metrics = jax.tree.map(np.asarray, metrics)
                _check_finite(metrics, step, indices, checkpoints)
                step += count
                watch.stepped(step, count, metrics, float(schedule(step - 1)), state)
                if step % config.eval_every == 0 or step == steps:
                    found = dict(validate(state.ema)) if validate else {}
                    checkpoints.save(step, to_items(state), found)
                    watch.validated(step, found)
                if step < steps and preemption.asked(step):
                    checkpoints.save(step, to_items(state), {})
                    _require_saved(checkpoints)
                    raise Preempted(
                        f"stopped by SIGTERM after step {step} of {steps}, which is saved in "
                        f"{workdir}: repeat the command to go on from there"
                    )
        _require_saved(checkpoints)
    return state


def _source(data: Sources | Mapping[str, Any], flips: tuple[str, ...]) -> Sources:
    """What the data stand for; plain arrays are an image and its label."""
    if isinstance(data, Mapping):
        arrays = {name: one for name, one in data.items() if isinstance(one, np.ndarray)}
        return Source.of_arrays(arrays, flips=flips) if arrays else data
    return replace(data, flips=flips) if flips else data


def _compiled(
    model: Model,
    optimiser: optax.GradientTransformation,
    batches: BatchSource,
    config: ConfigDict,
    mesh: Mesh,
    homes: TrainState,
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
    """The steps as one jitted function that takes over the state it is given."""
    steps = make_steps(
        model,
        optimiser,
        batches.batch,
        seed=config.seed,
        ema=config.ema,
        accumulate=config.accumulate,
    )
    whole, split = replicated(mesh), split_batch(mesh, axis=1)
    return jax.jit(
        steps,
        in_shardings=(homes, whole, split),
        out_shardings=(homes, whole),
        donate_argnums=0,
    )


def _require_saved(checkpoints: Checkpoints) -> None:
    if not checkpoints.wait():
        raise Stopped(
            f"the last state of the run could not be saved in {checkpoints.folder}: make room on the "
            "disk and repeat the command to go on from the last checkpoint"
        )


def _until_stop(step: int, steps: int, config: ConfigDict) -> int:
    """How many steps to dispatch at once: no further than the next evaluation or log."""
    stops = [steps] + [(step // n + 1) * n for n in (config.eval_every, config.log_every)]
    at_once = config.steps_per_dispatch or (1 if jax.default_backend() == "cpu" else 10)
    return min(at_once, min(stops) - step)


def _check_finite(
    metrics: Mapping[str, np.ndarray], step: int, indices: np.ndarray, kept: Checkpoints
) -> None:
    """Stop before parameters that are not finite are kept: the gradient can fail before the loss."""
    bad = np.flatnonzero(~np.isfinite(metrics["loss"]) | ~np.isfinite(metrics["gradient_norm"]))
    if not len(bad):
        return
    kept.wait()
    last = kept.steps()[-1] if kept.steps() else None
    loss, norm = metrics["loss"][bad[0]], metrics["gradient_norm"][bad[0]]
    shown = ", ".join(str(i) for i in indices[bad[0]][:8])
    raise Stopped(
        f"the loss is {loss} and its gradient's norm {norm} at step {step + int(bad[0]) + 1} "
        f"(training images {shown}, ...). "
        + (f"The checkpoint of step {last} is kept. " if last is not None else "")
        + "Lower train.learning_rate, or set train.clip=1"
    )
