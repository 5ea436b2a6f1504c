"""The walk of an image through a layout and back: steps, squeezes, splits, priors of the latents.

The log-determinants walk along as an array of the image's shape: they are squeezed and split as the
entries are, so that the log-likelihood is the sum of a map over the image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.coupling.bijections import Logit
from msflow_jax.coupling.layout import Stage
from msflow_jax.coupling.priors import SplitPrior, TopPrior
from msflow_jax.coupling.reshaping import Squeeze
from msflow_jax.coupling.steps import Carry, Given, Steps
from msflow_jax.nets import init_params

Params = Any
_SQUEEZE = Squeeze()


@dataclass(frozen=True)
class Multiscale:
    """A multiscale bijection between images and latents, whose priors are part of it.

    Attributes:
        stages: the parsed layout.
        steps: bijections of all stages.
        classes: number of classes K.
        learned: whether the priors of the latents are learned; else they are standard normal.
        margin: margin of the :class:`Logit` ahead of the first stage; 0 for no logit.
    """

    stages: tuple[Stage, ...]
    steps: Steps
    classes: int
    learned: bool
    margin: float

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters: the walk only permutes."""
        params = {}
        for number, stage in enumerate(self.stages):
            if stage.steps:
                params[f"stage_{number}"] = self.steps.init(stage, key)
            if stage.kind in ("split", "end") and self.learned:
                *space, channels = stage.shape
                kept = channels if stage.kind == "end" else channels // 2
                x = jax.ShapeDtypeStruct((1, *space, kept), jnp.float32)
                labels = jax.ShapeDtypeStruct((1,), jnp.int32)
                params[f"stage_{number}"] = init_params(self._prior(stage), key, x, labels)
        return params

    def forward(
        self, params: Params, x: jax.Array, given: Given
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """Latents and log-det contributions, each a list in the order of the splits."""

        def steps(name: str, stage: Stage, carry: Carry) -> Carry:
            return self.steps.forward(params[name], carry, stage, given)

        return self._walk(params, x, given.labels, steps)

    def fit(self, params: Params, x: jax.Array, labels: jax.Array) -> Params:
        """Parameters whose activation norms are those of this batch, in one walk."""
        fitted = dict(params)

        def steps(name: str, stage: Stage, carry: Carry) -> Carry:
            fitted[name], carry = self.steps.fit(params[name], carry, stage, Given(labels))
            return carry

        self._walk(params, x, labels, steps)
        return fitted

    def inverse(self, params: Params, latents: Sequence[jax.Array], labels: jax.Array) -> jax.Array:
        """Images ``[B, *space, C]`` of latents as :meth:`forward` gives them."""

        def steps(name: str, stage: Stage, z: jax.Array) -> jax.Array:
            return self.steps.inverse(params[name], z, stage, Given(labels))

        def join(number: int, kept: jax.Array, z: jax.Array) -> jax.Array:
            mean, log_scale = self._moments(params, number, kept, labels)
            return mean + z * jnp.exp(log_scale)

        x = self._back(latents, steps, join)
        return Logit(self.margin).inverse({}, x)[0] if self.margin else x

    def assemble(self, parts: Sequence[jax.Array]) -> jax.Array:
        """Arrays of the latents' shapes, every entry back in its place of the image."""
        return self._back(parts, lambda name, stage, x: x, lambda number, kept, part: part)

    def latent_shapes(self) -> list[tuple[int, ...]]:
        """``(*space, C)`` of every latent, in the order of :meth:`forward`."""
        splits = [stage.shape for stage in self.stages if stage.kind == "split"]
        halves = [(*space, channels - channels // 2) for *space, channels in splits]
        return [*halves, self.stages[-1].shape]

    def _walk(
        self,
        params: Params,
        x: jax.Array,
        labels: jax.Array,
        steps: Callable[[str, Stage, Carry], Carry],
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """Forwards through the layout; ``steps`` does what the steps of a stage do."""
        latents, log_dets = [], []
        carry = Logit(self.margin).forward({}, x) if self.margin else (x, jnp.zeros_like(x))
        for number, stage in enumerate(self.stages):
            x, log_det = carry
            if stage.kind == "squeeze":  # only moves entries, and their log-det contributions alike
                carry = _SQUEEZE.forward({}, x)[0], _SQUEEZE.forward({}, log_det)[0]
            elif stage.kind == "split":
                half = stage.shape[-1] // 2
                mean, log_scale = self._moments(params, number, x[..., :half], labels)
                latents.append((x[..., half:] - mean) * jnp.exp(-log_scale))
                log_dets.append(log_det[..., half:] - log_scale)
                carry = x[..., :half], log_det[..., :half]
            elif stage.steps:
                carry = steps(f"stage_{number}", stage, carry)
        x, log_det = carry
        mean, log_scale = self._moments(params, len(self.stages) - 1, x, labels)
        return [*latents, (x - mean) * jnp.exp(-log_scale)], [*log_dets, log_det - log_scale]

    def _back(
        self,
        parts: Sequence[jax.Array],
        steps: Callable[[str, Stage, jax.Array], jax.Array],
        join: Callable[[int, jax.Array, jax.Array], jax.Array],
    ) -> jax.Array:
        """Backwards through the layout; ``join`` makes what was split off beside what was kept."""
        left, x = list(parts), parts[-1]
        for number, stage in reversed(list(enumerate(self.stages))):
            if stage.kind == "end":
                x = join(number, x, left.pop())
            elif stage.kind == "squeeze":
                x, _ = _SQUEEZE.inverse({}, x)
            elif stage.kind == "split":
                x = jnp.concatenate([x, join(number, x, left.pop())], axis=-1)
            elif stage.steps:
                x = steps(f"stage_{number}", stage, x)
        return x

    def _prior(self, stage: Stage) -> SplitPrior | TopPrior:
        """Prior of what is split off, or of what is left at the end."""
        channels = stage.shape[-1]
        if stage.kind == "end":
            return TopPrior(self.classes)
        return SplitPrior(self.classes, channels - channels // 2)

    def _moments(
        self, params: Params, number: int, kept: jax.Array, labels: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Mean and log-scale of what stage ``number`` splits off or, the last, leaves."""
        if not self.learned:
            return jnp.zeros(()), jnp.zeros(())
        prior = self._prior(self.stages[number])
        return prior.apply({"params": params[f"stage_{number}"]}, kept, labels)  # type: ignore[return-value]
