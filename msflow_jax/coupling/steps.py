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
from msflow_jax.coupling.layout import Stage, masks, orders
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
        x = jax.ShapeDtypeStruct((1, *stage.shape), jnp.float32)
        labels = jax.ShapeDtypeStruct((1,), jnp.int32)
        drawn, channels = [], stage.shape[-1]
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
        step = partial(self._forward, module=self._module(stage), labels=labels, key=key)
        return self._run(step, stage, params, carry)

    def inverse(self, params: Params, z: jax.Array, stage: Stage, labels: jax.Array) -> jax.Array:
        """Inverse of :meth:`forward`'s entries."""
        step = partial(self._inverse, module=self._module(stage), labels=labels)
        return self._run(step, stage, params, z, reverse=True)

    def fit(
        self, params: Params, carry: Carry, stage: Stage, labels: jax.Array
    ) -> tuple[Params, Carry]:
        """Parameters whose activation norms are those of this batch, and what comes out of the stage."""
        *each, numbers = self._each(stage)
        done = []
        for i, number in enumerate(numbers):
            mask, order = (a[i] for a in each)
            one = jax.tree.map(lambda a, i=i: a[i], params)
            one = {**one, "norm": bi.actnorm_init(carry[0])}
            carry = self._forward(
                carry, one, mask, order, number, self._module(stage), labels, None
            )
            done.append(one)
        return jax.tree.map(lambda *a: jnp.stack(a), *done), carry

    def _forward(self, carry, params, mask, order, number, module, labels, key):
        x, share = carry
        x, part = bi.actnorm(params["norm"], x)
        share = share + part
        dense = self.mixing == "dense"
        x, part = bi.mix_dense(params["mix"], x) if dense else bi.mix(params["mix"], x, order)
        share = share + part
        key = None if key is None else jax.random.fold_in(key, number)
        net = _net(module, params["conditioner"], labels, key)
        x, part = bi.affine(x, mask, net, self.bound, self.passes)
        return x, share + part

    def _inverse(self, z, params, mask, order, number, module, labels):
        del number
        net = _net(module, params["conditioner"], labels, None)
        z = bi.affine_inverse(z, mask, net, self.bound, self.passes)
        mix, dense = params["mix"], self.mixing == "dense"
        z = bi.mix_dense_inverse(mix, z) if dense else bi.mix_inverse(mix, z, order)
        return bi.actnorm_inverse(params["norm"], z)

    def _module(self, stage: Stage) -> nn.Module:
        """The conditioner of a stage's steps."""
        return self.conditioner.clone(widths=stage.widths) if stage.widths else self.conditioner

    def _each(self, stage: Stage) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mask, order and number of every step."""
        numbers = np.arange(stage.first, stage.first + stage.steps)
        return masks(stage, self.picture), orders(stage), numbers

    def _run(self, step, stage: Stage, params: Params, carry, reverse: bool = False):
        """Scanned, but on CPU one by one."""
        each = (params, *self._each(stage))
        if self.remat:
            step = jax.checkpoint(step)
        if not _loops_are_slow():

            def body(state, one):
                return step(state, *one), None

            return lax.scan(body, carry, each, reverse=reverse)[0]
        for i in sorted(range(stage.steps), reverse=reverse):
            carry = step(carry, *jax.tree.map(lambda a, i=i: a[i], each))
        return carry


def _net(module: Any, params: Params, labels: jax.Array, key: jax.Array | None) -> bi.Conditioner:
    def apply(x: jax.Array, number: int) -> Any:
        rngs = None if key is None else {"dropout": jax.random.fold_in(key, number)}
        return module.apply({"params": params}, x, labels, train=key is not None, rngs=rngs)

    return apply


def _loops_are_slow() -> bool:
    """Whether gradients of convolutions are slow inside a loop: XLA's CPU backend, some 40 times."""
    return jax.default_backend() == "cpu"
