"""The training step: a pure function of (state, what lies on the device, what the step brings)."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from msflow_jax.data.modality import Batch
from msflow_jax.parallel.sharding import place, shard_tree
from msflow_jax.training.optimiser import update_ema


class Model(Protocol):
    """What the trainer needs of a model, whatever its family."""

    def init(self, key: jax.Array) -> Any:
        """Fresh parameters."""

    def loss(
        self, params: Any, batch: Batch, key: jax.Array, *, train: bool
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Scalar loss and metrics of a batch."""


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
    """Inverse of :func:`to_items`."""
    rest = items["state"]
    return TrainState(rest["step"], rest["params"], items["ema"], rest["opt_state"])


def create_state(
    model: Model,
    optimiser: optax.GradientTransformation,
    seed: int,
    mesh: Mesh,
    strategy: str,
    initial: Any = None,
) -> tuple[TrainState, TrainState]:
    """Fresh state where the strategy puts it, and the tree of its shardings.

    The moving average starts as a copy of the parameters. These are ``initial``, or drawn on the host:
    no device ever holds more than its share.
    """

    def fill(params: Any) -> TrainState:
        params, ema = (jax.tree.map(jnp.copy, params) for _ in range(2))
        return TrainState(jnp.zeros((), jnp.int32), params, ema, optimiser.init(params))

    drawn = model.init(jax.random.key(seed)) if initial is None else initial
    homes = shard_tree(jax.eval_shape(fill, drawn), mesh, strategy)
    return jax.jit(fill, out_shardings=homes)(place(drawn, homes.params)), homes


def make_steps(
    model: Model,
    optimiser: optax.GradientTransformation,
    to_batch: Callable[[Any, Any], Batch],
    *,
    seed: int,
    ema: float,
    accumulate: int = 1,
) -> Callable[[TrainState, Any, Any], tuple[TrainState, dict[str, jax.Array]]]:
    """Several training steps as one function, to be jitted with the state donated.

    Args:
      model: pure methods ``init`` and ``loss``.
      optimiser: gradient transformation.
      to_batch: ``(resident, brought) -> batch`` as the loss takes it, on the device.
      seed: seed of all noise; the key of a step is folded from (seed, step).
      ema: rate of the moving average.
      accumulate: parts of a batch whose gradients are averaged before the update, for batches that
        do not fit in memory. It divides the batch; every part draws its own noise.

    Returns:
      ``(state, resident, brought) -> (state, metrics)``; what n steps bring has the leading axis n, and
      so has each metric.
    """
    root = jax.random.key(seed)

    def gradient(params: Any, batch: Batch, key: jax.Array):
        def of_part(part: Batch, key: jax.Array):
            loss = partial(model.loss, batch=part, key=key, train=True)
            (value, metrics), grads = jax.value_and_grad(loss, has_aux=True)(params)
            return value, metrics, grads

        if accumulate == 1:
            return of_part(batch, key)
        # Part i takes every accumulate-th example from i on, so that no example changes its device.
        parts = jax.tree.map(
            lambda a: a.reshape(-1, accumulate, *a.shape[1:]).swapaxes(0, 1), batch
        )
        keys = jax.random.split(key, accumulate)

        def add(total: Any, part: Any):
            return jax.tree.map(jnp.add, total, of_part(*part)), None

        first, rest = (
            jax.tree.map(lambda a, s=s: a[s], (parts, keys)) for s in (0, slice(1, None))
        )
        # Without a loop on CPU, for the reason that `steps` gives.
        flat = jax.default_backend() == "cpu"
        total, _ = jax.lax.scan(add, of_part(*first), rest, unroll=flat)
        return jax.tree.map(lambda a: a / accumulate, total)

    def step(state: TrainState, resident: Any, brought: Any):
        batch = to_batch(resident, brought)
        k_loss = jax.random.fold_in(root, state.step)
        loss, metrics, grads = gradient(state.params, batch, k_loss)
        updates, opt_state = optimiser.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average = update_ema(state.ema, params, ema, state.step)
        metrics = {"loss": loss, **metrics, "gradient_norm": optax.tree.norm(grads)}
        return TrainState(state.step + 1, params, average, opt_state), metrics

    def steps(state: TrainState, resident: Any, brought: Any):
        if len(jax.tree.leaves(brought)[0]) == 1:
            # No loop around one step: XLA's CPU backend runs the gradient of a convolution's kernel
            # about 40 times slower inside one (measured, jax 0.10.2).
            state, metrics = step(state, resident, jax.tree.map(lambda a: a[0], brought))
            return state, jax.tree.map(lambda a: a[None], metrics)
        return jax.lax.scan(lambda s, one: step(s, resident, one), state, brought)

    return steps
