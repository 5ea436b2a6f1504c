"""What a model that understands does: translate; what it says of images is in ``sayings``."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.ode import integrate, jumps, shifted, shifted_time
from msflow_jax.paired.one_by_one import one_by_one
from msflow_jax.streams import (
    JUMP,
    FlowMap,
    Streams,
    VelocityField,
    check_jumps,
    content_index,
    sample_noise,
)
from msflow_jax.synergy.checks import check_prediction
from msflow_jax.synergy.encoder import Seen
from msflow_jax.synergy.generation import LEAST, guidance_terms
from msflow_jax.synergy.sayings import Sayings

Params = Any


class Verbs(Sayings):
    """The verbs of :class:`~msflow_jax.synergy.model.Synergy`, pure as all its methods."""

    def translate(
        self: Any,
        params: Params,
        sources: Mapping[str, jax.Array],
        key: jax.Array,
        *,
        target: str,
        steps: int = 10,
        solver: str = "euler",
        shift: float = 1.0,
        guidance: float = 1.0,
        image_guidance: float = 1.0,
        instruction: tuple[int, ...] = (),
        look: jax.Array | None = None,
        index: jax.Array | None = None,
    ) -> jax.Array:
        """Images of another modality of what a source shows, ``[B, *shape]`` in [-1, 1].

        Args:
            params: the whole tree.
            sources: images ``[B, *shape]`` in [-1, 1] of one modality, by its name.
            key: PRNG key.
            target: the modality to draw, by its name.
            steps: solver steps.
            solver: see :func:`msflow_jax.ode.integrate`; of a distilled model ``jump`` too, of one that
                predicts images this and ``euler`` alone.
            shift: above 1, steps are shorter near noise, see :func:`msflow_jax.ode.shifted_time`.
            guidance: weight of the target's name and of the instruction; 1 is no guidance.
            image_guidance: weight of what is seen of the source; 1 is no guidance.
            instruction: token numbers in place of the route's first phrasing.
            look: an appearance ``[E]`` in place of what the target's name means.
            index: number that each example's noise is folded from ``[B]``; None: the source's content.

        Raises:
            ValueError: no source or several, an unknown modality, the target as the source, an
                instruction to a drawing that reads no words, or guidance or a solver it cannot have.
        """
        if len(sources) != 1 or target in sources:
            raise ValueError(
                f"to draw {target!r}, give one other modality as the source, not "
                f"{', '.join(sources) or 'none'}"
            )
        if instruction and not self.paired:
            raise ValueError(
                "this model's drawing was trained without words: leave the instruction out"
            )
        for name, weight in (("guidance", guidance), ("image_guidance", image_guidance)):
            if weight != 1 and name in self.unguided:
                raise ValueError(
                    f"{name}={weight:g}: this model never drew without what it weighs "
                    "(model.dropout): leave it at 1"
                )
        check_prediction(self.prediction, solver)
        ((source, x),) = sources.items()
        self.require(source)
        self.require(target)
        index = content_index(x.astype(jnp.float32)) if index is None else index
        last = 1 - shifted_time(1 - 1 / steps, shift)
        wanted = instruction, guidance, image_guidance, look, last
        if solver == JUMP:
            check_jumps(self.drawing.span, guidance=guidance, image_guidance=image_guidance)

        def drawn(given: tuple[jax.Array, jax.Array]) -> jax.Array:
            shown, numbers = given
            if solver == JUMP:
                flow_map = self.flow_map(params, source, target, shown, *wanted)
                field = jumps(flow_map, 1 / steps, shift)
            else:
                field = self.field(params, source, target, shown, *wanted)
                field = shifted(field, shift, 1 / steps if solver == "euler" else 0.0)
            noise = {target: sample_noise(key, numbers, self.codec.inner)}
            by = "euler" if solver == JUMP else solver
            return integrate(field, noise, 0.0, 1.0, solver=by, steps=steps).end[target]

        return self.decode(params, target, one_by_one(drawn, (x, jnp.asarray(index)), solver))

    def field(self: Any, *given: Any, **more: Any) -> VelocityField:
        """The velocity field of a drawing; arguments as of :meth:`flow_map`."""
        flow_map = self.flow_map(*given, **more)
        return lambda u, states: flow_map(u, u, states)

    def flow_map(
        self: Any, params: Params, source: str, target: str, x: jax.Array,
        instruction: tuple[int, ...] = (), guidance: float = 1.0, image_guidance: float = 1.0,
        look: jax.Array | None = None, step: float = 1.0,
    ) -> FlowMap:  # fmt: skip
        """The flow map of a drawing; where it was not distilled its field, whatever the jump.

        All that is clean is read here, once for all steps. ``step`` is a solver's, in [0, 1]; the rest
        as of :meth:`translate`.
        """
        least = min(LEAST, step)
        count = len(x)
        ones, zeros = jnp.ones(count), jnp.zeros(count)
        own = self.routes[source, target][0]
        # Padded as in training: what follows the words has its places behind the padding.
        said = (*instruction, *(0 for _ in own[len(instruction) :])) if instruction else own
        words = jnp.asarray([said], jnp.int32)
        prompt = jnp.broadcast_to(words, (count, words.shape[1]))
        if look is None:
            name = jnp.asarray([self.modalities[target].prompt], jnp.int32)
            (look,) = self.describe(params, name)
        seen = Seen(self.see(params, x).content, jnp.broadcast_to(look[None], (count, len(look))))
        latents = self.encode(params, source, x) if self.paired else None

        def read(named: jax.Array, shown: jax.Array) -> Any:
            keep = jnp.stack([shown, named], axis=1)
            told = named if self.paired else zeros
            return self.remember(params, prompt, told, seen, keep, latents, shown)

        weighted = [
            (weight, read(named * ones, shown * ones))
            for weight, named, shown in guidance_terms(guidance, image_guidance)
        ]

        def average(a: jax.Array, b: jax.Array, states: Streams) -> Streams:
            tau, z = jnp.broadcast_to(a, (count,)), states[target]
            span = jnp.broadcast_to(b - a, (count,)) if self.drawing.span else None
            found = [
                w * self.velocity(params, z, tau, *memory, least, span) for w, memory in weighted
            ]
            return {target: sum(found[1:], found[0])}

        return average
