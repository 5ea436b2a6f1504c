"""AdamW with a one-cycle schedule, and the exponential moving average of the parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

_RANGE = 400.0  # peak over first and last learning rate


def one_cycle(config: ConfigDict, steps: int) -> optax.Schedule:
    """Cosine from 1/400 of the peak up to the peak and back down, as the papers train.

    Args:
        config: ``learning_rate`` (the peak), ``warmup`` (fraction of the steps, in (0, 1)).
        steps: length of the run.

    Returns:
        The function from one step number to its learning rate.

    Raises:
        ValueError: ``warmup`` is no such fraction.
    """
    if not 0 < config.warmup < 1:
        raise ValueError(f"train.warmup is a fraction of the run in (0, 1), got {config.warmup}")
    cycle = max(steps, 2)  # at least one step for each half
    rise = min(max(round(config.warmup * steps), 1), cycle - 1)
    # optax rounds the fraction down to steps: half a step more keeps that exact.
    fraction = (rise + 0.5) / cycle
    return optax.cosine_onecycle_schedule(cycle, config.learning_rate, fraction, _RANGE, 1.0)


def make_optimiser(
    config: ConfigDict, steps: int
) -> tuple[optax.GradientTransformation, optax.Schedule]:
    """AdamW (default betas) behind gradient clipping by global norm.

    Args:
        config: a train part: as for :func:`one_cycle`, ``weight_decay`` and ``clip`` (largest global
            norm of a gradient, 0 for none).
        steps: length of the run.

    Returns:
        The optimiser, and its learning rate by step.
    """
    schedule = one_cycle(config, steps)
    adamw = optax.adamw(schedule, weight_decay=config.weight_decay)
    if config.clip:
        adamw = optax.chain(optax.clip_by_global_norm(config.clip), adamw)
    # Asked for one step at a time: operation by operation that would be dozens of small programs.
    return adamw, jax.jit(schedule)


def update_ema(ema: Any, params: Any, rate: float, step: jax.Array) -> Any:
    """Moves ``ema`` towards ``params``; the rate rises to ``rate`` so that the start is forgotten.

    With the published rate of 0.7 the average spans about 3 steps: in effect none.

    Args:
        ema: the average so far, a tree like ``params``.
        params: parameters after this step.
        rate: weight of the average so far, in [0, 1).
        step: number of updates before this one; the weight is at most (1 + step) / (10 + step).

    Returns:
        The new average.
    """
    reached = jnp.minimum(rate, (1.0 + step) / (10.0 + step))
    return optax.incremental_update(params, ema, 1 - reached)
