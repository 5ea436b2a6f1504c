"""What a model that understands does: translate, and answer."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.inference.prediction import Prediction
from msflow_jax.ode import integrate, jumps, shifted, shifted_time
from msflow_jax.streams import (
    JUMP,
    FlowMap,
    Streams,
    VelocityField,
    check_jumps,
    content_index,
    sample_noise,
)
from msflow_jax.synergy.encoder import Seen
from msflow_jax.synergy.generation import LEAST, guidance_terms
from msflow_jax.synergy.pool import CANDIDATES
from msflow_jax.synergy.task_split import IMAGES

Params = Any


class Verbs:
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
            solver: see :func:`msflow_jax.ode.integrate`; of a distilled model ``jump`` too.
            shift: above 1, steps are shorter near noise, see :func:`msflow_jax.ode.shifted_time`.
            guidance: weight of the target's name and of the instruction; 1 is no guidance.
            image_guidance: weight of what is seen of the source; 1 is no guidance.
            instruction: token numbers in place of the route's first phrasing.
            look: an appearance ``[E]`` in place of what the target's name means.
            index: number that each example's noise is folded from ``[B]``; None: the source's content.

        Raises:
            ValueError: no source or several, an unknown modality, the target as the source, an
                instruction to a model whose drawing reads no words, or a guidance that it cannot have.
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
        ((source, x),) = sources.items()
        self.require(source)
        self.require(target)
        index = content_index(x.astype(jnp.float32)) if index is None else index
        last = 1 - shifted_time(1 - 1 / steps, shift)
        wanted = instruction, guidance, image_guidance, look, last
        if solver == JUMP:
            check_jumps(self.drawing.span, guidance=guidance, image_guidance=image_guidance)
            flow_map = self.flow_map(params, source, target, x, *wanted)
            field, solver = jumps(flow_map, 1 / steps, shift), "euler"
        else:
            field = self.field(params, source, target, x, *wanted)
            field = shifted(field, shift, 1 / steps if solver == "euler" else 0.0)
        noise = {target: sample_noise(key, index, self.codec.inner)}
        out = integrate(field, noise, 0.0, 1.0, solver=solver, steps=steps)
        return self.decode(params, target, out.end[target])

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

    def answer(
        self: Any, params: Params, batch: Mapping[str, jax.Array], order: jax.Array | None = None,
        lettered: int | None = None,
    ) -> dict[str, jax.Array]:  # fmt: skip
        """Logits of the answers to questions, in both forms; which holds, the task says.

        Args:
            params: the whole tree.
            batch: ``image_0`` .. ``image_4`` ``[B, *shape]`` in [-1, 1], ``modality [B, 5]`` (0: there
                is no such image), ``prompt [B, T]``, ``options [B, 4 T]``, ``asked [B]``, as
                :class:`TaskSplit` gives them.
            order: PRNG key of a random order of the source's places, for direct answers; None: as they
                are.
            lettered: how many of the questions, the first, the expert reads: most of the time goes
                there; None: all.

        Returns:
            ``letter [B, 4]`` and, of a selection, an instruction and a question on one image,
            ``selection``, ``instruction``, ``question [B, 4]``; of every image and kind of question on
            one ``facts [B, 5, 4, 4]``; of the panels' modalities
            ``panel [B, 5, M]`` by the expert and ``name [B, 5, M]`` by appearance; of a selection's
            places ``place [B, T, 4, T]``, against those of all candidates, and ``back [B, T, T]``, of
            the right one's against the source's. Letters and panels are of the first ``lettered``.
        """
        images = jnp.stack([batch[name] for name in IMAGES], axis=1)
        used = batch["modality"] > 0
        flat = images.reshape(-1, *images.shape[2:])
        content, look = (x.reshape(*used.shape, *x.shape[1:]) for x in self.see(params, flat))
        first = slice(lettered)
        letter, panel = self._understand(
            params, batch["prompt"][first], Seen(content[first], look[first]), used[first],
            method="answer",
        )  # fmt: skip
        names, sharp = self.names(params), 1 / self.temperature
        options = batch["options"].reshape(len(used) * CANDIDATES, -1)
        meant = self.describe(params, options).reshape(len(used), CANDIDATES, -1)
        change = unit(look[:, 1] - look[:, 0])
        shown = self._understand(params, Seen(content, look), method="readout")
        alone = self.describe(params, jnp.asarray(self.alone, jnp.int32))
        facts = sharp * jnp.einsum("bie,oe->bio", unit(shown), unit(alone))
        asked = jnp.take_along_axis(shown, batch["asked"][:, None, None], axis=1)[:, 0]
        right = 1 + batch["answer"]
        true = jnp.take_along_axis(content, right[:, None, None, None], axis=1)[:, 0]
        size, source = content.shape[-1], content[:, 0]
        if order is not None:
            source = jax.random.permutation(order, source, axis=1, independent=False)
        return {
            "letter": letter,
            "selection": sharp * jnp.einsum("bpf,bkpf->bk", source, content[:, 1:])
            / (size * content.shape[2]),
            "place": sharp * jnp.einsum("bpf,bkqf->bpkq", source, content[:, 1:]) / size,
            "back": sharp * jnp.einsum("bqf,bpf->bqp", true, source) / size,
            "instruction": sharp * jnp.einsum("be,bke->bk", change, unit(meant)),
            "facts": facts.reshape(*facts.shape[:2], -1, CANDIDATES),
            "question": sharp * jnp.einsum("be,bke->bk", unit(asked), unit(meant)),
            "name": sharp * jnp.einsum("bie,me->bim", unit(look), unit(names)),
            "panel": sharp * jnp.einsum("bie,me->bim", unit(panel), unit(names)),
        }  # fmt: skip

    def classify(
        self: Any, params: Params, images: jax.Array, key: jax.Array, *,
        index: jax.Array | None = None, weights: Sequence[float] | None = None,
    ) -> Prediction:  # fmt: skip
        """Probabilities of the classes of images, of any modality; nothing in them is by chance.

        Args:
            params: the whole tree.
            images: images ``[B, *shape]`` in [-1, 1].
            key: PRNG key, which is not used, as is ``index``.
            index: see there.
            weights: ratio of target to training prior of each class ``[K]`` (label-shift correction).

        Returns:
            Distances -log p(y | x) in nats.
        """
        del key, index
        logits = self.class_logits(params, self.see(params, images))
        if weights is not None:
            logits += jnp.log(jnp.asarray(weights))[None]
        logs = jax.nn.log_softmax(logits)[None]
        return Prediction(
            -logs, jnp.exp(logs), logs.argmax(axis=-1), jnp.float32(1),
            jnp.isfinite(logs).all(axis=-1), None, self.classes, in_nats=True,
        )  # fmt: skip

    def identify(self: Any, params: Params, images: jax.Array) -> jax.Array:
        """Probabilities of the modalities that images ``[B, *shape]`` show ``[B, M]``, in order."""
        look = self.see(params, images).look
        return jax.nn.softmax(unit(look) @ unit(self.names(params)).T / self.temperature)


def unit(x: jax.Array) -> jax.Array:
    """Vectors of length 1 along the last axis."""
    return x * jax.lax.rsqrt(jnp.square(x).sum(axis=-1, keepdims=True) + 1e-6)
