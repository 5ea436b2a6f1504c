"""The distribution of training times."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class TimeDistribution:
    """How training times are drawn.

    Attributes:
      name: ``uniform`` (published) or ``logit_normal`` (sigmoid of a normal variable).
      loc: mean of that normal variable.
      scale: its standard deviation.
      reading_share: share of each batch put at the reading time u = 1, where classification starts
        and only the label's velocity is scored. 0 as published.
      reading_weight: weight of the label's error in those samples.

    Raises:
      ValueError: unknown name, or a share outside [0, 1].
    """

    name: str = "uniform"
    loc: float = 0.0
    scale: float = 1.0
    reading_share: float = 0.0
    reading_weight: float = 1.0

    def __post_init__(self):
        if self.name not in ("uniform", "logit_normal"):
            raise ValueError(f"time distribution is 'uniform' or 'logit_normal', not {self.name!r}")
        if not 0 <= self.reading_share <= 1:
            raise ValueError(f"reading_share must lie in [0, 1], got {self.reading_share}")

    def sample(self, key: jax.Array, batch: int) -> tuple[jax.Array, jax.Array]:
        """Times ``[B]`` in [0, 1], and which samples are only read, ``[B]`` bool."""
        if self.name == "uniform":
            u = jax.random.uniform(key, (batch,))
        else:
            u = jax.nn.sigmoid(self.loc + self.scale * jax.random.normal(key, (batch,)))
        reading = jnp.arange(batch) < round(self.reading_share * batch)
        return jnp.where(reading, 1.0, u), reading
