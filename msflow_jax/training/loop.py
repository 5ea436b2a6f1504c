"""``fit``: the loop around the step. It knows no family, only a stage."""

from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from ml_collections import ConfigDict

from msflow_jax.parallel.sharding import (
    check_batch,
    make_mesh,
    place,
    replicated,
    shard_tree,
    split_batch,
    table,
)
from msflow_jax.progress import doing
from msflow_jax.storage.checkpoints import Checkpoints
from msflow_jax.storage.choice import Metrics, classifies_better, classifying_alone
from msflow_jax.training.endings import Preempted, check_finite, require_saved
from msflow_jax.training.feed import BatchSource, open_batches
from msflow_jax.training.memory import describe_memory
from msflow_jax.training.monitor import Monitor, is_due, monitor
from msflow_jax.training.optimiser import make_optimiser
from msflow_jax.training.preemption import Preemption
from msflow_jax.training.stage import Params, Stage, merge, update
from msflow_jax.training.step import (
    TrainState,
    create_state,
    fresh_state,
    from_items,
    make_steps,
    to_items,
)


def fit(
    stage: Stage,
    workdir: Path,
    params: Params | None = None,
    *,
    progress: bool = True,
    made: Mapping[str, Any] | None = None,
) -> TrainState:
    """Train a stage, or go on training: the newest checkpoint is where it resumes.

    Args:
        stage: what is trained on which data.
        workdir: folder of the whole run; the stage's own (:meth:`Stage.folder`) gets ``checkpoints/``,
            ``metrics.jsonl`` and ``tensorboard/``.
        params: tree of the stages before, on the host; empty by default.
        progress: whether to draw a progress bar.
        made: what the workdir says of the run, kept beside each checkpoint.

    Returns:
        The final state, of the trained leaves alone.

    Raises:
        ValueError: an empty training set, a batch that the devices do not divide, a ``select`` that the
            validation does not report, or checkpoints of another network or optimiser.
        Preempted: SIGTERM or Ctrl-C came; the state is saved.
        Stopped: the loss is not finite; the step and the batch are named.
    """
    config, folder = stage.config, stage.folder(workdir)
    steps = stage.steps
    mesh = make_mesh(**config.mesh)
    check_batch(config.batch, mesh, config.accumulate)
    with (
        Checkpoints(
            folder / "checkpoints",
            keep=config.keep,
            select=config.select,
            resolution=stage.resolution,
            made=made,
        ) as checkpoints,
        Preemption() as preemption,
    ):
        with ExitStack() as stack:
            with doing("preparing the training") if progress else nullcontext():
                run = _start(stage, params or {}, mesh, steps, checkpoints)
                step = int(run.state.step)
                opened = open_batches(stage.source, config, mesh, step, steps)
                batches = stack.enter_context(opened)
                if progress and config.sharding != "replicated" and jax.process_index() == 0:
                    print(table(run.state.params, mesh, config.sharding))
                watched = stack.enter_context(monitor(folder, config, step, steps, progress))
            state = _train(run, batches, watched, checkpoints, preemption)
        with doing("saving the last checkpoint") if progress else nullcontext():
            require_saved(checkpoints)
    return state


@dataclass(frozen=True)
class _Run:
    """A stage that is about to go on.

    Attributes:
        stage: what is trained.
        mesh: devices of the run.
        steps: last step of the run.
        optimiser: optax transformation of the gradients.
        schedule: learning rate by step.
        frozen: leaves that are not trained, on the devices.
        state: state to go on from.
    """

    stage: Stage
    mesh: Mesh
    steps: int
    optimiser: optax.GradientTransformation
    schedule: optax.Schedule
    frozen: Params
    state: TrainState


def _start(stage: Stage, so_far: Params, mesh: Mesh, steps: int, checkpoints: Checkpoints) -> _Run:
    """The newest state that is saved; only if there is none, a fresh one."""
    config = stage.config
    optimiser, schedule = make_optimiser(config, steps)
    state = None
    if checkpoints.steps():
        fresh = partial(fresh_state, optimiser=optimiser)
        shapes = jax.eval_shape(fresh, stage.initial_shapes(so_far))
        shardings = shard_tree(shapes, mesh, config.sharding)
        found = checkpoints.restore(to_items(jax.tree.map(_shaped, shapes, shardings)))
        state = from_items(found) if found else None
    if state is None:
        state = create_state(stage.initial(so_far), optimiser, mesh, config.sharding)
    frozen = stage.frozen(so_far)
    frozen = place(frozen, shard_tree(frozen, mesh, config.sharding))
    return _Run(stage, mesh, steps, optimiser, schedule, frozen, state)


def _shaped(shape: jax.ShapeDtypeStruct, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding)


def _train(
    run: _Run,
    batches: BatchSource,
    watched: Monitor,
    checkpoints: Checkpoints,
    preemption: Preemption,
) -> TrainState:
    """Every step that is left."""
    config, state, steps = run.stage.config, run.state, run.steps
    step, steps_of, programs = int(state.step), _steps(run, batches), dict[int, Any]()
    if run.stage.trained and not checkpoints.steps():
        _keep(run, state, watched, checkpoints)
    while step < steps:
        count = _until_stop(step, steps, config)
        with watched.waiting():
            plan, indices = batches.take(step, count)
        if count not in programs:  # another number of steps at once is another program
            given = (state, batches.data, plan, run.frozen)
            with watched.doing("compiling the training step"):
                programs[count] = steps_of.lower(*given).compile()
            if len(programs) == 1:
                watched.say(describe_memory(state, run.frozen, batches.data, programs[count]))
        with watched.trace(step):
            state, metrics = programs[count](state, batches.data, plan, run.frozen)
            metrics = jax.tree.map(np.asarray, metrics)
        check_finite(metrics, step, indices, checkpoints)
        step += count
        watched.stepped(step, count, metrics, float(run.schedule(step - 1)), state)
        if step == steps or is_due(step, config.eval_every):
            _keep(run, state, watched, checkpoints)
        if preemption.requested():  # after the last step too: whoever called it would go on
            checkpoints.save(step, to_items(state), {})
            require_saved(checkpoints)
            raise Preempted(
                f"stopped by {preemption.name} after step {step} of {steps}, which is saved in "
                f"{checkpoints.folder.parent}: repeat the command to go on from there",
                preemption.status,
            )
    return state


def _keep(run: _Run, state: TrainState, watched: Monitor, checkpoints: Checkpoints) -> None:
    """A checkpoint, with what validation says of it."""
    step = int(state.step)
    with watched.doing("validating"):
        found = _validated(run, state)
        if not step and run.stage.alternative:
            state, found = _better(run, state, found)
    with watched.doing("saving"):
        checkpoints.save(step, to_items(state), found)
    watched.validated(step, found)


def _better(run: _Run, state: TrainState, found: Metrics) -> tuple[TrainState, Metrics]:
    """The start, or the alternative where that classifies better, and what validation says of it."""
    config, leaves = run.stage.config, run.stage.alternative
    placed = place(leaves, shard_tree(leaves, run.mesh, config.sharding))
    other = replace(state, ema=update(state.ema, placed))
    theirs = _validated(run, other)
    if classifies_better(theirs, found, config.select, run.stage.resolution):
        return other, classifying_alone(theirs)
    return state, found


def _validated(run: _Run, state: TrainState) -> Metrics:
    """Metrics of the moving average; the one that picks the best checkpoint must be among them."""
    if run.stage.validate is None:
        return {}
    found = dict(run.stage.validate(merge(state.ema, run.frozen)))
    select = run.stage.config.select
    if select.removeprefix("-") not in found:
        raise ValueError(
            f"train.select={select!r} is no metric of this validation, which reports "
            f"{', '.join(sorted(found)) or 'none'}: set train.select to one of them ('-NAME' where less "
            "is better)"
        )
    return found


def _steps(run: _Run, batches: BatchSource) -> jax.stages.Wrapped:
    """The steps as one jitted function that takes over the state it is given."""
    config = run.stage.config
    steps = make_steps(
        run.stage.loss, run.optimiser, batches.batch,
        seed=config.seed, ema=config.ema, accumulate=config.accumulate, length=run.steps,
    )  # fmt: skip
    state, frozen = (
        shard_tree(tree, run.mesh, config.sharding) for tree in (run.state, run.frozen)
    )
    whole, by_rows = replicated(run.mesh), split_batch(run.mesh, axis=1)
    return jax.jit(
        steps,
        in_shardings=(state, whole, by_rows, frozen),
        out_shardings=(state, whole),
        donate_argnums=0,
    )


def _until_stop(step: int, steps: int, config: ConfigDict) -> int:
    """How many steps to dispatch at once: no further than the next evaluation or log."""
    every = filter(None, (config.eval_every, config.log_every))
    stops = [steps] + [(step // n + 1) * n for n in every]
    at_once = config.steps_per_dispatch or (1 if jax.default_backend() == "cpu" else 10)
    return min(at_once, min(stops) - step)
