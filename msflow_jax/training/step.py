"""The training step: a pure function of (state, data on the device, indices)."""

from collections.abc import Callable
from typing import Any, Protocol

import flax.struct
import jax
import jax.numpy as jnp
import optax

from msflow_jax.training.optimiser import update_ema

Batch = dict[str, jax.Array]


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


def create_state(model: Model, optimiser: optax.GradientTransformation, seed: int) -> TrainState:
    """Fresh state; the moving average starts as a copy of the parameters."""
    params = jax.tree.map(jnp.asarray, model.init(jax.random.key(seed)))
    ema = jax.tree.map(jnp.copy, params)
    return TrainState(jnp.zeros((), jnp.int32), params, ema, optimiser.init(params))


def make_steps(
    model: Model,
    optimiser: optax.GradientTransformation,
    gather: Callable[[Any, jax.Array, jax.Array], Batch],
    *,
    seed: int,
    ema: float,
) -> Callable[[TrainState, Any, jax.Array], tuple[TrainState, dict[str, jax.Array]]]:
    """Several training steps as one function, to be jitted with the state donated.

    Args:
      model: pure methods ``init`` and ``loss``.
      optimiser: gradient transformation.
      gather: ``(data, indices [B], key) -> batch``, on the device.
      seed: seed of all noise; the key of a step is folded from (seed, step).
      ema: rate of the moving average.

    Returns:
      ``(state, data, indices [n, B]) -> (state, metrics)``, each metric ``[n]``.
    """
    root = jax.random.key(seed)

    def step(state: TrainState, data: Any, indices: jax.Array):
        k_data, k_loss = jax.random.split(jax.random.fold_in(root, state.step))
        batch = gather(data, indices, k_data)

        def loss_fn(params):
            return model.loss(params, batch, k_loss, train=True)

        (loss, metrics), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        updates, opt_state = optimiser.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average = update_ema(state.ema, params, ema, state.step)
        metrics = {"loss": loss, **metrics, "gradient_norm": optax.tree.norm(grads)}
        return TrainState(state.step + 1, params, average, opt_state), metrics

    def steps(state: TrainState, data: Any, indices: jax.Array):
        if len(indices) == 1:
            # No loop around one step: XLA's CPU backend runs the gradient of a convolution's kernel
            # about 40 times slower inside one (measured, jax 0.10.2).
            state, metrics = step(state, data, indices[0])
            return state, jax.tree.map(lambda a: a[None], metrics)
        return jax.lax.scan(lambda s, i: step(s, data, i), state, indices)

    return steps
