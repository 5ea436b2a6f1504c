"""The step of a coupling flow: activation norm, 1 x 1 convolution, affine coupling; and runs of them."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from msflow_jax.coupling import bijections as bi
from msflow_jax.coupling.layout import Stage, orders
from msflow_jax.coupling.masks import masks
from msflow_jax.nets import init_params

Params = Any
Carry = tuple[jax.Array, jax.Array]  # what walks through the layout: entries and their shares


@dataclass(frozen=True)
class Steps:
    """All steps of a flow; the parameters of a stage's steps are stacked. See :class:`CouplingFlow`."""

    conditioner: nn.Module
    bound: float
    passes: int
    mixing: str
    picture: np.ndarray | None
    remat: bool

    def init(self, stage: Stage, key: jax.Array) -> Params:
        """Fresh parameters of a stage's steps, which only permute."""
        *space, channels = stage.shape
        seen = channels // 2 if stage.kind == "half" else channels
        x = jax.ShapeDtypeStruct((1, *space, seen), jnp.float32)
        labels, drawn = jax.ShapeDtypeStruct((1,), jnp.int32), []
        for i, order in enumerate(orders(stage)):
            dense = self.mixing == "dense"
            k_step = jax.random.fold_in(key, stage.first + i)
            drawn.append(
                {
                    "norm": {"mean": jnp.zeros(channels), "log_scale": jnp.zeros(channels)},
                    "mix": bi.dense_init(order) if dense else bi.plu_init(channels),
                    "conditioner": init_params(self._module(stage), k_step, x, labels),
                }
            )
        return jax.tree.map(lambda *a: jnp.stack(a), *drawn)

    def forward(
        self, params: Params, carry: Carry, stage: Stage, labels: jax.Array, key: jax.Array | None
    ) -> Carry:
        """Through the steps of a stage; ``key`` of the dropout or None."""
        step = partial(self._forward, stage=stage, labels=labels, key=key)
        matrices = self._matrices(params, stage, bi.plu, bi.dense)
        return self._run(step, stage, params, matrices, carry)

    def inverse(self, params: Params, z: jax.Array, stage: Stage, labels: jax.Array) -> jax.Array:
        """Inverse of :meth:`forward`'s entries."""
        matrices = self._matrices(params, stage, bi.plu_inverse, bi.dense_inverse)
        step = partial(self._inverse, stage=stage, labels=labels)
        return self._run(step, stage, params, matrices, z, reverse=True)

    def fit(
        self, params: Params, carry: Carry, stage: Stage, labels: jax.Array
    ) -> tuple[Params, Carry]:
        """Parameters whose activation norms are those of this batch, and what comes out of the stage."""
        each = (params, self._matrices(params, stage, bi.plu, bi.dense), *self._each(stage))
        done = []
        for i in range(stage.steps):
            one, *others = jax.tree.map(lambda a, i=i: a[i], each)
            one = {**one, "norm": bi.actnorm_init(carry[0])}
            carry = self._forward(carry, one, *others, stage=stage, labels=labels, key=None)
            done.append(one)
        return jax.tree.map(lambda *a: jnp.stack(a), *done), carry

    def _matrices(self, params: Params, stage: Stage, plu: Any, dense: Any) -> Any:
        """What one of two functions makes of each step's mixing: ahead of the scan, where it costs more.

        The dense ones one by one: jaxlib's batched LAPACK routines (seen in 0.10.2), which `vmap` would
        call, wait for each other without end where several CPU devices run one program.
        """
        if self.mixing == "dense":
            return lax.map(dense, params["mix"])
        return jax.vmap(plu)(params["mix"], orders(stage))

    def _forward(self, carry, params, mixing, mask, number, *, stage, labels, key):
        x, share = carry
        x, part = bi.actnorm(params["norm"], x)
        matrix, mixed = mixing
        x = bi.mix(x, matrix)
        share = share + part + mixed
        key = None if key is None else jax.random.fold_in(key, number)
        net = _net(self._module(stage), params["conditioner"], labels, key)
        if stage.kind == "half":
            x, part = bi.affine_halves(x, net, self.bound, self.passes)
        else:
            x, part = bi.affine(x, mask, net, self.bound, self.passes)
        return x, share + part

    def _inverse(self, z, params, matrix, mask, number, *, stage, labels):
        del number
        net = _net(self._module(stage), params["conditioner"], labels, None)
        if stage.kind == "half":
            z = bi.affine_halves_inverse(z, net, self.bound, self.passes)
        else:
            z = bi.affine_inverse(z, mask, net, self.bound, self.passes)
        return bi.actnorm_inverse(params["norm"], bi.mix(z, matrix))

    def _module(self, stage: Stage) -> nn.Module:
        """The conditioner of a stage's steps."""
        return self.conditioner.clone(widths=stage.widths) if stage.widths else self.conditioner

    def _each(self, stage: Stage) -> tuple[np.ndarray, np.ndarray]:
        """Mask and number of every step."""
        return masks(stage, self.picture), np.arange(stage.first, stage.first + stage.steps)

    def _run(self, step, stage: Stage, params: Params, matrices, carry, reverse: bool = False):
        """Scanned. On CPU always recomputed in the backward pass: its memory is slower than that."""
        if self.remat or jax.default_backend() == "cpu":
            step = jax.checkpoint(step, prevent_cse=False)

        def body(state, each):
            return step(state, *each), None

        each = (params, matrices, *self._each(stage))
        return lax.scan(body, carry, each, reverse=reverse)[0]


def _net(module: Any, params: Params, labels: jax.Array, key: jax.Array | None) -> bi.Conditioner:
    def apply(x: jax.Array, number: int) -> Any:
        rngs = None if key is None else {"dropout": jax.random.fold_in(key, number)}
        return module.apply({"params": params}, x, labels, train=key is not None, rngs=rngs)

    return apply
