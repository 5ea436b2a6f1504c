"""The step of a coupling flow: activation norm, 1 x 1 convolution, affine coupling; and runs of them."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from msflow_jax.coupling.bijections import AffineCoupling, HalvesCoupling
from msflow_jax.coupling.layout import Stage, orders
from msflow_jax.coupling.masks import masks
from msflow_jax.coupling.mixing import MIXINGS, ActNorm, mix
from msflow_jax.coupling.reversible import Part, run_invertible
from msflow_jax.nets import init_params

Params = Any
Carry = tuple[
    jax.Array, jax.Array
]  # what walks through the layout: entries and their log-det so far


@dataclass(frozen=True)
class Given:
    """What the conditioners of a step know beside what they see.

    Attributes:
        labels: class numbers ``[B]``.
        key: PRNG key of the dropout; None for none.
    """

    labels: jax.Array
    key: jax.Array | None = None

    def at(self, step: jax.Array) -> "Given":
        """The same for the step of this number."""
        return Given(self.labels, None if self.key is None else jax.random.fold_in(self.key, step))


@dataclass(frozen=True)
class Network:
    """A flax module ``(x, labels, train) -> (raw log-scale, shift)`` as the conditioner of a coupling.

    Attributes:
        module: flax module of the conditioner.
        shape: shape ``(*space, C)`` of what it sees.
    """

    module: nn.Module
    shape: tuple[int, ...]

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters of the module."""
        x = jax.ShapeDtypeStruct((1, *self.shape), jnp.float32)
        return init_params(self.module, key, x, jax.ShapeDtypeStruct((1,), jnp.int32))

    def __call__(self, params: Params, seen: jax.Array, number: int, context: Given) -> Any:
        """Raw log-scale and shift in the pass of this number; see :class:`Conditioner`."""
        key, train = context.key, context.key is not None
        rngs = None if key is None else {"dropout": jax.random.fold_in(key, number)}
        return self.module.apply({"params": params}, seen, context.labels, train=train, rngs=rngs)


@dataclass(frozen=True)
class Steps:
    """All steps of a flow; the parameters of a stage's steps are stacked. See :class:`CouplingFlow`."""

    conditioner: nn.Module
    bound: float
    passes: int
    mixing: str
    foreground: np.ndarray | None
    remat: bool
    reversible: bool = False

    def init(self, stage: Stage, key: jax.Array) -> Params:
        """Fresh parameters of a stage's steps, which only permute."""
        found = []
        each = zip(orders(stage), masks(stage, self.foreground), strict=True)
        for i, (order, mask) in enumerate(each):
            k_step = jax.random.fold_in(key, stage.first + i)
            found.append(
                {
                    "norm": ActNorm(stage.shape[-1]).init(k_step),
                    "mix": MIXINGS[self.mixing](order).init(k_step),
                    "conditioner": self._coupling(stage, mask).init(k_step),
                }
            )
        return jax.tree.map(lambda *a: jnp.stack(a), *found)

    def forward(self, params: Params, carry: Carry, stage: Stage, given: Given) -> Carry:
        """Through the steps of a stage."""
        if self.reversible:
            return self._invertibly(params, carry, stage, given)
        step = partial(self._forward, stage=stage, given=given)
        return self._run(step, stage, params, self._matrices(params, stage), carry)

    def inverse(self, params: Params, z: jax.Array, stage: Stage, given: Given) -> jax.Array:
        """Inverse of :meth:`forward`'s entries."""
        step = partial(self._inverse, stage=stage, given=given)
        matrices = self._inverse_matrices(params, stage)
        return self._run(step, stage, params, matrices, z, reverse=True)

    def fit(self, params: Params, carry: Carry, stage: Stage, given: Given) -> tuple[Params, Carry]:
        """Parameters whose activation norms are those of this batch, and what comes out of the stage."""
        norm, done = ActNorm(stage.shape[-1]), []
        each = (params, self._matrices(params, stage), *self._each(stage))
        for i in range(stage.steps):
            one, *others = jax.tree.map(lambda a, i=i: a[i], each)
            one = {**one, "norm": norm.fit(carry[0])}
            carry = self._forward(carry, one, *others, stage=stage, given=given)
            done.append(one)
        return jax.tree.map(lambda *a: jnp.stack(a), *done), carry

    def _matrices(self, params: Params, stage: Stage) -> Carry:
        """Matrix and log-det of every step's mixing."""

        def both(params: Params, order: jax.Array) -> Carry:
            mixing = MIXINGS[self.mixing](order)
            return mixing.matrix(params), mixing.log_det(params)

        return self._ahead(both, params, stage)

    def _inverse_matrices(self, params: Params, stage: Stage) -> jax.Array:
        """Matrix of the inverse of every step's mixing; the sampler needs no log-det."""
        return self._ahead(
            lambda p, order: MIXINGS[self.mixing](order).inverse_matrix(p), params, stage
        )

    def _ahead(self, function: Any, params: Params, stage: Stage) -> Any:
        """A function of every step's mixing, ahead of the scan: inside, small matrices cost more."""
        if self.mixing == "dense":
            # One by one: jaxlib's batched LAPACK routines (seen in 0.10.2), which ``vmap`` would call,
            # wait for each other without end where several CPU devices run one program.
            return lax.map(
                lambda each: function(*each), (params["mix"], jnp.asarray(orders(stage)))
            )
        return jax.vmap(function)(params["mix"], orders(stage))

    def _forward(self, carry, params, mixing, mask, number, *, stage, given):
        x, log_det = carry
        x, part = ActNorm(x.shape[-1]).forward(params["norm"], x)
        matrix, mixed = mixing
        x = mix(x, matrix)
        log_det = log_det + part + mixed
        coupling = self._coupling(stage, mask)
        x, part = coupling.forward(params["conditioner"], x, given.at(number))
        return x, log_det + part

    def _invertibly(self, params: Params, carry: Carry, stage: Stage, given: Given) -> Carry:
        """:meth:`forward` without anything that the backward pass would have to keep of a step."""

        def mixed(x, learned, fixed, seen):
            one, (matrix, log_det) = learned
            x, part = ActNorm(x.shape[-1]).forward(one["norm"], x)
            return mix(x, matrix), part + log_det

        def unmixed(z, learned, fixed, seen):
            return ActNorm(z.shape[-1]).inverse(learned[0]["norm"], mix(z, fixed[0]))[0]

        def coupled(x, learned, fixed, seen, way="forward"):
            _, mask, number = fixed
            coupling = getattr(self._coupling(stage, mask), way)
            return coupling(learned[0]["conditioner"], x, Given(*seen).at(number))

        def uncoupled(z, learned, fixed, seen):
            return coupled(z, learned, fixed, seen, "inverse")[0]

        parts = Part(mixed, unmixed), Part(coupled, uncoupled)
        learned = params, self._matrices(params, stage)
        inverses = lax.stop_gradient(self._inverse_matrices(params, stage))
        fixed = inverses, *map(jnp.asarray, self._each(stage))
        return run_invertible(parts, carry, learned, fixed, (given.labels, given.key))

    def _inverse(self, z, params, matrix, mask, number, *, stage, given):
        del number  # only dropout goes by it
        # The log-dets are not used: they leave nothing in the compiled program.
        z, _ = self._coupling(stage, mask).inverse(params["conditioner"], z, given)
        return ActNorm(z.shape[-1]).inverse(params["norm"], mix(z, matrix))[0]

    def _coupling(self, stage: Stage, mask: Any) -> AffineCoupling | HalvesCoupling:
        """The coupling of a step with this mask."""
        module = self.conditioner.clone(widths=stage.widths) if stage.widths else self.conditioner
        if stage.kind != "half":
            return AffineCoupling(Network(module, stage.shape), self.bound, self.passes, mask)
        # Halves instead of masks: half the products, nothing multiplied by zeros.
        *space, channels = stage.shape
        return HalvesCoupling(Network(module, (*space, channels // 2)), self.bound, self.passes)

    def _each(self, stage: Stage) -> tuple[np.ndarray, np.ndarray]:
        """Mask and number of every step."""
        return masks(stage, self.foreground), np.arange(stage.first, stage.first + stage.steps)

    def _run(self, step, stage: Stage, params: Params, matrices, carry, reverse: bool = False):
        """Scanned: the program does not grow with the depth."""
        # On CPU every step is recomputed in the backward pass, requested or not: writing what a step
        # leaves to memory and reading it back there takes longer than computing it twice.
        if self.remat or jax.default_backend() == "cpu":
            step = jax.checkpoint(step, prevent_cse=False)

        def body(state, each):
            return step(state, *each), None

        each = (params, matrices, *self._each(stage))
        return lax.scan(body, carry, each, reverse=reverse)[0]
