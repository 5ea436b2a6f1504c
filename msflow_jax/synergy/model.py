"""SynerMedGen: one model that answers questions on paired slices, and draws one modality from another.

arXiv 2605.08724. An understanding and a generation expert share their attention; what the former learned
reaches a drawing through the keys and values of its tokens alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.latent.codec import KEY, Codec
from msflow_jax.nets import init_params
from msflow_jax.nets.tracing import evaluate
from msflow_jax.paired.controls import Controls
from msflow_jax.paired.keys import named_key
from msflow_jax.streams import TIMES, UNIFORM, expand
from msflow_jax.synergy.encoder import AppearanceEncoder, ContentEncoder, Seen
from msflow_jax.synergy.experts import Memory
from msflow_jax.synergy.generation import LEAST, Drawing
from msflow_jax.synergy.labels import Labels
from msflow_jax.synergy.understanding import Understanding
from msflow_jax.synergy.verbs import Verbs

Params = Any
PARTS = ("content", "look", "understanding", "drawing")
LABELS = "labels"  # the part of a model that classifies
PREDICTIONS = ("velocity", "data")
SOURCE = 2  # places in a sequence between a prompt and what is drawn: wanted look, source, latents


@dataclass(frozen=True)
class Named:
    """A modality of the model.

    Attributes:
        word: how it is called in texts.
        prompt: that word as token numbers ``(T,)``.
        latent: whether its images are drawn in an autoencoder's latents.
    """

    word: str
    prompt: tuple[int, ...]
    latent: bool = False


@dataclass(frozen=True)
class Synergy(Verbs):
    """The whole model. All methods are pure.

    Attributes:
        modalities: how they are called, by name.
        codec: between images, which are of one shape in all modalities, and what is drawn.
        content: encoder of content tokens.
        look: encoder of appearances.
        understanding: expert of words and content.
        drawing: expert of latents.
        labels: head that classifies; None: the model does not.
        routes: instructions by route (source, target): token numbers ``(T,)`` of each of its phrasings.
        alone: options of questions on one image, four of each kind in order, as token numbers.
        trained: routes that a loss of drawing has seen; () where none has.
        paired: whether drawing was trained on pairs, and looks at the source's latents and at words.
        taught: tasks that understanding was trained on.
        classes: class names of the data, which only a model that classifies needs.
        noise: deviation of the noise on content tokens while drawing is trained.
        temperature: of direct answers.
        controls: what its drawings are compared with and judged by.
        prediction: what drawing gives: ``velocity``, as in the paper, or ``data``, the image itself,
            which a small model learns sooner.
        time: how training times are drawn, see :func:`msflow_jax.streams.spread_times`.
        unguided: of ``guidance`` and ``image_guidance`` those whose condition training never left out.

    Raises:
        ValueError: an unknown prediction or distribution of times.
    """

    modalities: Mapping[str, Named]
    codec: Codec
    content: ContentEncoder
    look: AppearanceEncoder
    understanding: Understanding
    drawing: Drawing
    labels: Labels | None
    routes: Mapping[tuple[str, str], tuple[tuple[int, ...], ...]]
    alone: tuple[tuple[int, ...], ...]
    trained: tuple[tuple[str, str], ...] = ()
    paired: bool = False
    taught: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    noise: float = 0.0
    temperature: float = 0.05
    controls: Controls = field(default_factory=Controls)
    prediction: str = "velocity"
    time: str = UNIFORM
    unguided: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.prediction not in PREDICTIONS:
            known = " or ".join(PREDICTIONS)
            raise ValueError(f"model.prediction={self.prediction!r}: {known}")
        if self.time not in TIMES:
            raise ValueError(f"model.time={self.time!r}: {' or '.join(TIMES)}")

    @property
    def verbs(self) -> tuple[str, ...]:
        """What the model does."""
        return ("translate", "answer", *(("classify",) if self.labels else ()))

    @property
    def words(self) -> tuple[str, ...]:
        """What the modalities are called in texts, in order."""
        return tuple(one.word for one in self.modalities.values())

    def require(self, name: str) -> Named:
        """The modality of a name.

        Raises:
            ValueError: the model has no such modality; names those that it has.
        """
        if name not in self.modalities:
            raise ValueError(f"no modality {name!r}: this model has {', '.join(self.modalities)}")
        return self.modalities[name]

    def linked(self, source: str, target: str) -> bool:
        """Whether a loss of drawing has seen pairs of a route."""
        return (source, target) in self.trained

    def route_words(self, source: str, target: str) -> str:
        """The same in a word."""
        return "trained" if self.linked(source, target) else "zero-shot"

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters of all parts."""
        parts = (*PARTS, *((LABELS,) if self.labels else ()))
        tree = {part: self.start(part, key) for part in parts}
        tree |= {part: self.start(part, key, names) for part, names in self.controls.names.items()}
        return tree

    def start(self, part: str, key: jax.Array, names: Sequence[str] = ()) -> Params:
        """Fresh parameters of one of ``PARTS``, of ``LABELS``, or of controls of these names."""
        key = named_key(key, part)
        if part not in (*PARTS, LABELS):
            start, given = self.controls.start, self.codec.shape
            return {name: start(part, named_key(key, name), given) for name in names}

        def shape(*sides: int, dtype: Any = jnp.float32) -> Any:
            return jax.ShapeDtypeStruct((1, *sides), dtype)

        if part in ("content", "look"):
            return init_params(getattr(self, part), key, shape(*self.codec.shape))
        reads, own = self.understanding, self.understanding.expert
        if part == LABELS:
            assert self.labels is not None
            one = Seen(shape(math.prod(reads.grid), reads.features), shape(reads.look))
            return init_params(self.labels, key, one)
        if part == "understanding":
            content = shape(1, math.prod(reads.grid), reads.features)
            seen = Seen(content, shape(1, reads.look))
            return init_params(reads, key, shape(2, dtype=jnp.int32), seen)
        kept = (shape(1, own.pairs, own.size, dtype=own.dtype),) * own.depth
        memory = Memory(kept, kept, shape(1, dtype=bool), shape(4))
        seen = Seen(shape(1, reads.features), shape(reads.look))
        return init_params(self.drawing, key, seen, shape(*self.codec.inner), shape(), memory, at=0)

    def see(self, params: Params, images: jax.Array) -> Seen:
        """Content tokens and appearances of images ``[B, *shape]`` in [-1, 1]."""
        content = evaluate(self.content, params["content"], images)
        look = evaluate(self.look, params["look"], images)
        return Seen(content, look)

    def class_logits(self, params: Params, seen: Seen) -> jax.Array:
        """Logits of the classes of what is seen of images ``[B, K]``."""
        assert self.labels is not None
        found: Any = self.labels.apply({"params": params[LABELS]}, seen)
        return found

    def describe(self, params: Params, prompt: jax.Array) -> jax.Array:
        """What texts mean among appearances ``[B, E]``: rows of token numbers ``[B, T]``."""
        return self._understand(params, prompt, method="describe")

    def names(self, params: Params) -> jax.Array:
        """The vectors of the names of all modalities, in order ``[M, E]``."""
        prompts = jnp.asarray([one.prompt for one in self.modalities.values()], jnp.int32)
        return self.describe(params, prompts)

    def _understand(self, params: Params, *given: Any, method: str) -> Any:
        return evaluate(self.understanding, params["understanding"], *given, method=method)

    def draw(
        self, params: Params, z: jax.Array, tau: jax.Array, memory: Memory, at: int,
        span: jax.Array | None = None,
    ) -> jax.Array:  # fmt: skip
        """What is predicted of noisy latents behind a memory of :meth:`remember`."""
        return self._draw(params, z, tau, memory, at, span, method="draw")

    def velocity(
        self, params: Params, z: jax.Array, tau: jax.Array, memory: Memory, at: int,
        least: float = LEAST, span: jax.Array | None = None,
    ) -> jax.Array:  # fmt: skip
        """Velocity of noisy latents behind a memory of :meth:`remember`; the average over a span.

        Of a predicted image it is the way there over the time that is left, at least ``least``: no
        longer than a solver's step, else the path would end before the image.
        """
        found = self.draw(params, z, tau, memory, at, span)
        if self.prediction == "velocity":
            return found
        left = expand(jnp.maximum(1 - tau, least), z)
        return (found - z) / left

    def _draw(self, params: Params, *given: Any, method: str) -> Any:
        return evaluate(self.drawing, params["drawing"], *given, method=method)

    def remember(
        self, params: Params, prompt: jax.Array, told: jax.Array, seen: Seen,
        keep: jax.Array | None = None, latents: jax.Array | None = None,
        kept: jax.Array | None = None,
    ) -> tuple[Memory, int]:  # fmt: skip
        """Keys and values of all that is clean, and the next place in the sequence.

        Args:
            params: the whole tree.
            prompt: the instruction, rows of token numbers ``[B, T]``.
            told: 1 where it is given ``[B]``.
            seen: content of the source, and the wanted look.
            keep: ``[B, 2]``, 1 where content, and where look is given; None: all.
            latents: of the source ``[B, *inner]``; None: not used.
            kept: 1 where they are given ``[B]``.
        """
        image, wanted = self._draw(params, seen, method="connect")
        memory = self._understand(params, prompt, told, image, wanted, keep, method="read")
        at = prompt.shape[1] + SOURCE
        if latents is None:
            return memory, at
        kept = jnp.ones(len(latents)) if kept is None else kept
        return self._draw(params, latents, kept, memory, at, method="read"), at + 1

    def encode(self, params: Params, name: str, x: jax.Array) -> jax.Array:
        """Latents ``[B, *inner]`` of images in [-1, 1]."""
        self.require(name)
        return self.codec.encode(params.get(KEY), x)

    def decode(self, params: Params, name: str, z: jax.Array) -> jax.Array:
        """Images in [-1, 1] of latents ``[B, *inner]``."""
        self.require(name)
        return self.codec.decode(params.get(KEY), z)
