"""Changes of training pairs, as the public code of SynerMedGen has them (flags, off by default).

A paired shift moves source and target alike. Changes of intensity are of the source alone, so that
what is drawn never learns them.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from msflow_jax.streams import expand


@dataclass(frozen=True)
class Augmentation:
    """How much is changed.

    Attributes:
        shifted: share of the pairs that are moved.
        far: largest shift, of the side.
        changed: share of the sources whose intensity changes.
        strength: s of the public code's ranges: brightness 1 - 0.35 s to 1 + 0.2 s, contrast 1 - 0.4 s
            to 1 + 0.25 s, gamma 1 +- 0.45 s, noise of deviation 0.01 to 0.01 + 0.07 s. Its blur, low
            resolution and bias field are left out.
    """

    shifted: float = 0.0
    far: float = 0.1
    changed: float = 0.0
    strength: float = 0.4

    def pair(
        self, key: jax.Array, source: jax.Array, target: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """A pair ``[B, *space, C]`` in [-1, 1], moved alike, the source changed."""
        k_shift, k_change = jax.random.split(key)
        moved = self.shift(k_shift, source), self.shift(k_shift, target)
        return self.intensity(k_change, moved[0]), moved[1]

    def shift(self, key: jax.Array, x: jax.Array) -> jax.Array:
        """Images ``[B, *space, C]`` moved by whole pixels; what comes in is the darkest value, -1."""
        if not self.shifted:
            return x
        k_far, k_which = jax.random.split(key)
        space = x.shape[1:-1]
        most = jnp.asarray([[int(self.far * side) for side in space]])
        far = jax.random.randint(k_far, (len(x), len(space)), -most, most + 1)
        far = far * jax.random.bernoulli(k_which, self.shifted, (len(x), 1))

        def move(image: jax.Array, by: jax.Array) -> jax.Array:
            inside = jnp.ones(space, bool)
            for axis, side in enumerate(space):
                image = jnp.roll(image, by[axis], axis)
                at = jnp.arange(side) - by[axis]
                ok = (at >= 0) & (at < side)
                inside &= ok.reshape([-1 if a == axis else 1 for a in range(len(space))])
            return jnp.where(inside[..., None], image, -1.0)

        return jax.vmap(move)(x, far)

    def intensity(self, key: jax.Array, x: jax.Array) -> jax.Array:
        """Images ``[B, *space, C]`` in [-1, 1] with another brightness and contrast, gamma, or noise."""
        if not self.changed:
            return x
        keys, s, count = jax.random.split(key, 6), self.strength, len(x)

        def draw(k: jax.Array, low: float, high: float) -> jax.Array:
            return expand(jax.random.uniform(k, (count,), minval=low, maxval=high), x)

        grey = (x + 1) / 2
        mean = grey.mean(axis=tuple(range(1, x.ndim)), keepdims=True)
        contrast = draw(keys[0], 1 - 0.4 * s, 1 + 0.25 * s)
        bright = draw(keys[1], 1 - 0.35 * s, 1 + 0.2 * s)
        level = (mean + contrast * (grey - mean)) * bright
        gamma = jnp.maximum(grey, 1e-6) ** draw(keys[2], 1 - 0.45 * s, 1 + 0.45 * s)
        rough = grey + draw(keys[3], 0.01, 0.01 + 0.07 * s) * jax.random.normal(keys[4], x.shape)
        k_kind, k_which = jax.random.split(keys[5])
        kind = jax.random.randint(k_kind, (count,), 0, 3)
        made = jnp.stack([level, gamma, rough])[kind, jnp.arange(count)]
        which = expand(jax.random.bernoulli(k_which, self.changed, (count,)), x)
        return jnp.where(which, 2 * jnp.clip(made, 0, 1) - 1, x)
