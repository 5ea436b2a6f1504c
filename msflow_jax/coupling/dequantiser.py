"""Variational dequantisation: noise that knows its image (Flow++, arXiv 1902.00275, section 3.1)."""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.coupling.bijections import AffineCoupling, logistic_log_prob
from msflow_jax.coupling.conditioners import Residual
from msflow_jax.coupling.masks import checkerboard
from msflow_jax.nets import init_params

Params = Any


@dataclass(frozen=True)
class WithImage:
    """A module as conditioner that sees, beside the entries, the image that is the context.

    Attributes:
        module: conditioner of one class, on entries and image joined.
        shape: shape ``(*space, C)`` of the images.
    """

    module: nn.Module
    shape: tuple[int, ...]

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters of the module."""
        *space, channels = self.shape
        x = jax.ShapeDtypeStruct((1, *space, 2 * channels), jnp.float32)
        return init_params(self.module, key, x, jax.ShapeDtypeStruct((1,), jnp.int32))

    def __call__(self, params: Params, seen: jax.Array, number: int, context: jax.Array) -> Any:
        """Raw log-scale and shift; see :class:`Conditioner`."""
        joined = jnp.concatenate([seen, context], axis=-1)
        labels = jnp.zeros(len(context), jnp.int32)
        out: Any = self.module.apply({"params": params}, joined, labels)
        raw, shift = out
        return raw[..., : self.shape[-1]], shift[..., : self.shape[-1]]


@dataclass(frozen=True)
class Dequantiser:
    """A density q(u | v) of noise u in (0, 1) given the image v, the same for all classes.

    Uniform noise goes through the logit, couplings that see the image, and the sigmoid: a fresh one
    leaves the noise uniform. No class enters, so that the classes' likelihoods are of one x and their
    posterior is exact.

    Attributes:
        shape: shape ``(*space, C)`` of the images.
        bound: largest absolute log-scale of a coupling's pass.
        remat: whether each coupling is recomputed in the backward pass.
        net: conditioner of one class, on noise and image joined.
        steps: number of couplings of two passes.
    """

    shape: tuple[int, ...]
    bound: float = 0.5
    remat: bool = False
    net: nn.Module = Residual(1, width=32)  # noqa: RUF009 (a module is frozen)
    steps: int = 2

    @property
    def coupling(self) -> AffineCoupling:
        """The coupling of every step, whose context is the image."""
        *space, channels = self.shape
        mask = checkerboard(tuple(space), channels, False)
        return AffineCoupling(WithImage(self.net, self.shape), self.bound, passes=2, mask=mask)

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters: the noise stays as it is."""
        keys = (jax.random.fold_in(key, i) for i in range(self.steps))
        return {f"step_{i}": self.coupling.init(k) for i, k in enumerate(keys)}

    def __call__(
        self, params: Params, images: jax.Array, noise: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Noise as this image wants it, in [0, 1], and its log-density per entry.

        Args:
            params: parameters of the flow.
            images: images ``[B, *space, C]`` in [-1, 1].
            noise: noise of their shape, uniform in [0, 1).

        Returns:
            ``(u, log q(u | v))``, both of the images' shape.
        """
        uniform = jnp.maximum(noise, 2.0**-25)  # float32 noise is a multiple of 2^-23, 0 included
        y = jnp.log(uniform) - jnp.log1p(-uniform)
        log_q = logistic_log_prob(y)

        def step(y: jax.Array, params: Params) -> tuple[jax.Array, jax.Array]:
            return self.coupling.forward(params, y, images)

        if self.remat:
            step = jax.checkpoint(step)
        for i in range(self.steps):
            y, log_det = step(y, params[f"step_{i}"])
            log_q -= log_det
        return nn.sigmoid(y), log_q - logistic_log_prob(y)
