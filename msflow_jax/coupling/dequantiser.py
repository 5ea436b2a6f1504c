"""Variational dequantisation: noise that knows its image (Flow++, arXiv 1902.00275, section 3.1)."""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.coupling import bijections as bi
from msflow_jax.coupling.conditioners import Residual
from msflow_jax.coupling.masks import checkerboard
from msflow_jax.nets import init_params

Params = Any


@dataclass(frozen=True)
class Dequantiser:
    """A density q(u | v) of noise u in (0, 1) given the image v, the same for all classes.

    Uniform noise goes through the logit, couplings that see the image, and the sigmoid: a fresh one
    leaves the noise uniform. No class enters, so that the classes' likelihoods are of one x and their
    posterior is exact.

    Attributes:
      shape: ``(*space, C)`` of the images.
      bound: largest absolute log-scale of a coupling's pass.
      remat: recompute each coupling in the backward pass.
      net: conditioner of one class, on noise and image joined.
      steps: couplings of two passes.
    """

    shape: tuple[int, ...]
    bound: float = 0.5
    remat: bool = False
    net: nn.Module = Residual(1, width=32)  # noqa: RUF009 (a module is frozen)
    steps: int = 2

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters: the noise stays as it is."""
        *space, channels = self.shape
        x = jax.ShapeDtypeStruct((1, *space, 2 * channels), jnp.float32)
        labels = jax.ShapeDtypeStruct((1,), jnp.int32)
        keys = (jax.random.fold_in(key, i) for i in range(self.steps))
        return {f"step_{i}": init_params(self.net, k, x, labels) for i, k in enumerate(keys)}

    def __call__(
        self, params: Params, images: jax.Array, noise: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Noise as this image wants it, in [0, 1], and its log-density per entry.

        Args:
          params: parameters.
          images: ``[B, *space, C]`` in [-1, 1].
          noise: of their shape, uniform in [0, 1).

        Returns:
          ``(u, log q(u | v))``, both of the images' shape.
        """
        *space, channels = self.shape
        uniform = jnp.maximum(noise, 2.0**-25)  # float32 noise is a multiple of 2^-23, 0 included
        y = jnp.log(uniform) - jnp.log1p(-uniform)
        log_q = _log_logistic(y)
        apply: Any = self.net.apply
        mask = checkerboard(tuple(space), channels, False)

        def step(y: jax.Array, params: Params) -> tuple[jax.Array, jax.Array]:
            def conditioner(seen: jax.Array, number: int) -> tuple[jax.Array, jax.Array]:
                del number
                joined = jnp.concatenate([seen, images], axis=-1)
                labels = jnp.zeros(len(images), jnp.int32)
                raw, shift = apply({"params": params}, joined, labels)
                return raw[..., :channels], shift[..., :channels]

            return bi.affine(y, mask, conditioner, self.bound, passes=2)

        if self.remat:
            step = jax.checkpoint(step)
        for i in range(self.steps):
            y, share = step(y, params[f"step_{i}"])
            log_q -= share
        return nn.sigmoid(y), log_q - _log_logistic(y)


def _log_logistic(y: jax.Array) -> jax.Array:
    """Log-density of the logistic distribution: the derivative of the sigmoid."""
    return nn.log_sigmoid(y) + nn.log_sigmoid(-y)
