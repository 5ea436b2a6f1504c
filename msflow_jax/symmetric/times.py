"""The distribution of training times."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from msflow_jax.streams import TIMES, UNIFORM


@dataclass(frozen=True)
class TimeDistribution:
    """How training times are drawn.

    Attributes:
        name: ``uniform`` (published) or ``logit_normal`` (sigmoid of a normal variable).
        loc: mean of that normal variable.
        scale: standard deviation of that normal variable.
        classification_fraction: fraction of the examples put at u = 1, where classification starts and
            only the label's velocity is scored; of a batch as many as that is, rounded up or down by
            chance. 0 as published.
        classification_weight: weight of the label's error in those samples.

    Raises:
        ValueError: unknown name, or a fraction outside [0, 1].
    """

    name: str = "uniform"
    loc: float = 0.0
    scale: float = 1.0
    classification_fraction: float = 0.0
    classification_weight: float = 1.0

    def __post_init__(self):
        if self.name not in TIMES:
            raise ValueError(f"time distribution is 'uniform' or 'logit_normal', not {self.name!r}")
        if not 0 <= self.classification_fraction <= 1:
            raise ValueError(
                f"classification_fraction must lie in [0, 1], got {self.classification_fraction}"
            )

    def sample(self, key: jax.Array, batch: int) -> tuple[jax.Array, jax.Array]:
        """Times ``[B]`` in [0, 1], and which samples are only classified, ``[B]`` bool."""
        if self.name == UNIFORM:
            u = jax.random.uniform(key, (batch,))
        else:
            u = jax.nn.sigmoid(self.loc + self.scale * jax.random.normal(key, (batch,)))
        # A batch may be a part of one (train.accumulate), down to one example: rounded to the nearest,
        # a half of one example would always be none of it, and three quarters all.
        whole, rest = divmod(round(self.classification_fraction * batch, 6), 1)
        more = jax.random.uniform(jax.random.fold_in(key, 1)) < rest
        classified = jnp.arange(batch) < whole + more
        return jnp.where(classified, 1.0, u), classified
