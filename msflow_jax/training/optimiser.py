"""AdamW with a one-cycle schedule, and the exponential moving average of the parameters."""

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict


def one_cycle(config: ConfigDict, steps: int) -> optax.Schedule:
    """Cosine from 1/400 of the peak up to the peak and back down, as the papers train.

    Args:
      config: ``learning_rate`` (the peak), ``warmup`` (share of the steps, in (0, 1)).
      steps: length of the run.
    """
    if not 0 < config.warmup < 1:
        raise ValueError(f"train.warmup is a share of the run in (0, 1), got {config.warmup}")
    floor = config.learning_rate / 400
    # optax needs at least one step for each half.
    rise = min(max(round(config.warmup * steps), 1), max(steps - 1, 1))
    up = optax.cosine_decay_schedule(1.0, rise)
    down = optax.cosine_decay_schedule(1.0, max(steps - rise, 1))
    span = config.learning_rate - floor

    def schedule(step):
        rising = floor + span * (1 - up(step))
        falling = floor + span * down(jnp.maximum(step - rise, 0))
        return jnp.where(step < rise, rising, falling)

    return schedule


def make_optimiser(
    config: ConfigDict, steps: int
) -> tuple[optax.GradientTransformation, optax.Schedule]:
    """AdamW (default betas) behind gradient clipping by global norm (``clip``, 0 for none)."""
    schedule = one_cycle(config, steps)
    adamw = optax.adamw(schedule, weight_decay=config.weight_decay)
    if config.clip:
        adamw = optax.chain(optax.clip_by_global_norm(config.clip), adamw)
    return adamw, schedule


def update_ema(ema, params, rate: float, step: jax.Array):
    """Move ``ema`` towards ``params``; the rate rises to ``rate`` so that the start is forgotten.

    With the published rate of 0.7 the average spans about 3 steps: in effect none.
    """
    reached = jnp.minimum(rate, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda e, p: e + (1 - reached) * (p - e), ema, params)
