"""The training step: a pure function of (state, data, batch plan)."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from msflow_jax.data.modality import Batch
from msflow_jax.parallel.sharding import place, shard_tree
from msflow_jax.training.optimiser import update_ema
from msflow_jax.training.stage import Loss, merge


@flax.struct.dataclass
class TrainState:
    """Everything that training changes. ``step`` is also the position in the data."""

    step: jax.Array
    params: Any
    ema: Any
    opt_state: Any


def to_items(state: TrainState) -> dict[str, Any]:
    """What a checkpoint holds of a state: ``ema``, to use, and ``state``, what training also needs."""
    rest = {"step": state.step, "params": state.params, "opt_state": state.opt_state}
    return {"ema": state.ema, "state": rest}


def from_items(items: Mapping[str, Any]) -> TrainState:
    """Inverse of :func:`to_items`; what is kept at step 0 may be another model, and is no average."""
    rest = items["state"]
    ema = items["ema"] if int(rest["step"]) else jax.tree.map(jnp.copy, rest["params"])
    return TrainState(rest["step"], rest["params"], ema, rest["opt_state"])


def fresh_state(params: Any, optimiser: optax.GradientTransformation) -> TrainState:
    """State at step 0, whose moving average is a copy of the parameters.

    Args:
        params: parameters to start from.
        optimiser: optax transformation of the gradients.
    """
    params, ema = (jax.tree.map(jnp.copy, params) for _ in range(2))
    return TrainState(jnp.zeros((), jnp.int32), params, ema, optimiser.init(params))


def create_state(
    params: Any, optimiser: optax.GradientTransformation, mesh: Mesh, strategy: str
) -> TrainState:
    """Fresh state where the strategy puts it: no device ever holds more than its part.

    Args:
        params: parameters to start from, on the host.
        optimiser: optax transformation of the gradients.
        mesh: devices of the run.
        strategy: one of ``msflow_jax.parallel.sharding.STRATEGIES``.
    """
    fill = partial(fresh_state, optimiser=optimiser)
    shardings = shard_tree(jax.eval_shape(fill, params), mesh, strategy)
    return jax.jit(fill, out_shardings=shardings)(place(params, shardings.params))


def make_steps(
    loss: Loss,
    optimiser: optax.GradientTransformation,
    to_batch: Callable[[Any, Any], Batch],
    *,
    seed: int,
    ema: float,
    accumulate: int = 1,
    length: int = 1,
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
    """Several training steps as one function, to be jitted with the state donated.

    Args:
        loss: ``loss(params, batch, key, *, train) -> (scalar, metrics)``.
        optimiser: optax transformation of the gradients.
        to_batch: ``(data, plan) -> batch`` as the loss takes it, on the device.
        seed: seed of all noise; the key of a step is folded from (seed, step).
        ema: rate of the moving average.
        accumulate: parts of a batch whose gradients are averaged before the update, for batches that
            do not fit in memory. It divides the batch; every part draws its own noise.
        length: steps of the stage; a loss with a keyword ``progress`` is given the share that is done.

    Returns:
        ``(state, data, plan, frozen=None) -> (state, metrics)``; the plan of n steps has a leading axis
        of n, and so has each metric (a mean over the parts that it is not NaN of). The loss is given
        the state's parameters merged with the frozen.
    """
    root = jax.random.key(seed)
    anneals = "progress" in inspect.signature(loss).parameters

    def gradient(params: Any, frozen: Any, batch: Batch, key: jax.Array, step: jax.Array):
        more = {"progress": step / length} if anneals else {}

        def of_part(part: Batch, key: jax.Array):
            whole = partial(_whole, loss, frozen, part, key, more)
            (value, metrics), grads = jax.value_and_grad(whole, has_aux=True)(params)
            return value, metrics, grads

        if accumulate == 1:
            return of_part(batch, key)
        return _in_parts(of_part, batch, key, accumulate)

    def step(state: TrainState, data: Any, plan: Any, frozen: Any):
        batch = to_batch(data, plan)
        k_loss = jax.random.fold_in(root, state.step)
        value, metrics, grads = gradient(state.params, frozen, batch, k_loss, state.step)
        updates, opt_state = optimiser.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average = update_ema(state.ema, params, ema, state.step)
        metrics = {"loss": value, **metrics, "gradient_norm": optax.tree.norm(grads)}
        return TrainState(state.step + 1, params, average, opt_state), metrics

    def steps(state: TrainState, data: Any, plan: Any, frozen: Any = None):
        if len(jax.tree.leaves(plan)[0]) == 1:
            # No loop around one step: XLA's CPU backend runs the gradient of a convolution's kernel
            # about 40 times slower inside one (measured, jax 0.10.2).
            state, metrics = step(state, data, jax.tree.map(lambda a: a[0], plan), frozen)
            return state, jax.tree.map(lambda a: a[None], metrics)
        return jax.lax.scan(lambda s, one: step(s, data, one, frozen), state, plan)

    return steps


def _whole(loss: Loss, frozen: Any, part: Batch, key: jax.Array, more: Any, trained: Any) -> Any:
    """The loss as a function of the trained leaves."""
    return loss(merge(trained, frozen), part, key, train=True, **more)


def _in_parts(of_part: Callable[..., Any], batch: Batch, key: jax.Array, count: int) -> Any:
    """Value, metrics and gradients ``of_part(part, key)``, averaged over so many parts of a batch."""
    # Part i takes every count-th example from i on, so that no example changes its device.
    parts = jax.tree.map(lambda a: a.reshape(-1, count, *a.shape[1:]).swapaxes(0, 1), batch)
    keys = jax.random.split(key, count)

    def add(total: Any, part: Any):
        value, metrics, grads = of_part(*part)
        return jax.tree.map(jnp.add, total, (value, grads)), metrics

    first, rest = (jax.tree.map(lambda a, s=s: a[s], (parts, keys)) for s in (0, slice(1, None)))
    value, metrics, grads = of_part(*first)
    # Without a loop on CPU, for the reason that ``make_steps`` gives.
    flat = jax.default_backend() == "cpu"
    total, others = jax.lax.scan(add, (value, grads), rest, unroll=flat)
    value, grads = jax.tree.map(lambda a: a / count, total)
    # A part of which nothing was scored says NaN, and must not count as 0.
    metrics = jax.tree.map(lambda a, b: jnp.nanmean(jnp.append(a, b)), metrics, others)
    return value, metrics, grads
