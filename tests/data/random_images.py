"""Random images, maps and volumes, and how many examples of a property are tried."""

import jax.numpy as jnp
import numpy as np
from hypothesis import settings

EACH = settings(max_examples=25)
RNG = np.random.default_rng(0)
IMAGES = jnp.asarray(RNG.integers(0, 256, (64, 6, 6, 3), dtype=np.uint8))
MAPS = IMAGES[..., 0]  # a label map that is a channel of its image must stay one

VOLUMES = RNG.integers(0, 256, (32, 4, 5, 6, 2), dtype=np.uint8)
