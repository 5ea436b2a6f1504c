"""MedM2G: a diffuser for each modality, aligned conditions, and guidance between those drawn together.

arXiv 2403.04290. Every modality is a stream with a clock: drawn from noise (``FORWARD``) or only looked
at (``CLEAN``). A diffuser sees its own stream, a condition from the common space, and others' tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.diffusers.decoder import ReportControls
from msflow_jax.diffusers.networks import CONTEXT, GUIDE, PARTS, Modality, start
from msflow_jax.diffusers.text import TextAutoencoder
from msflow_jax.diffusers.verbs import Verbs
from msflow_jax.nets.dit import position_code
from msflow_jax.nets.places import with_places
from msflow_jax.nets.tracing import evaluate
from msflow_jax.training.stage import update

Params = Any
PREDICTIONS = ("velocity", "epsilon")


@dataclass(frozen=True)
class Diffusers(Verbs):
    """All modalities of a model. All methods are pure.

    Attributes:
        modalities: networks by the name of the modality.
        links: in the order of the training: what is new, and last what it attaches to.
        classes: class names of the data, which this model does not need.
        text: codec of reports; None where there are none.
        length: tokens in a row of a report.
        shared_guides: whether a diffuser looks at all partners by one guide, and tells all the same;
            otherwise each link has guides and context encoders of its own, also for the modality that
            was there before.
        prediction: what diffusers give: ``velocity`` of the straight path, or ``epsilon``, the noise of
            the variance-preserving one.
        temperature: of the contrastive term between context encoders.
        guided: whether diffusers were trained without a condition too, as guidance needs.
        alone: whether links left diffusers as they are without partners, as partner guidance needs.
        controls: what its drawings are compared with and judged by.

    Raises:
        ValueError: a link of an unknown modality, or an unknown prediction.
    """

    modalities: Mapping[str, Modality]
    links: tuple[tuple[str, ...], ...]
    classes: tuple[str, ...] = ()
    text: TextAutoencoder | None = None
    length: int = 0
    shared_guides: bool = True
    prediction: str = "velocity"
    temperature: float = 0.1
    guided: bool = True
    alone: bool = True
    controls: ReportControls = field(default_factory=ReportControls)

    def __post_init__(self) -> None:
        if self.prediction not in PREDICTIONS:
            known = ", ".join(PREDICTIONS)
            raise ValueError(f"unknown prediction {self.prediction!r}: choose one of {known}")
        for link in self.links:
            counts = {self.require(name).told for name in link}
            if len(link) > 2 and len(counts) > 1:
                raise ValueError(
                    f"model.links: {', '.join(link)} tell one another {sorted(counts)} tokens; those of "
                    "one link of several new ones must be equally many: give each a link of its own"
                )

    @property
    def verbs(self) -> tuple[str, ...]:
        """What a model of these modalities can do."""
        return ("generate", "translate", *(("report",) if self.text is not None else ()))

    def require(self, name: str) -> Modality:
        """The networks of a modality.

        Raises:
            ValueError: the model has no such modality; names those that it has.
        """
        if name not in self.modalities:
            raise ValueError(f"no modality {name!r}: this model has {', '.join(self.modalities)}")
        return self.modalities[name]

    def linked(self, source: str, target: str) -> bool:
        """Whether a route was trained: not, if no link joins its ends."""
        return any({source, target} <= set(link) for link in self.links)

    def route_words(self, source: str, target: str) -> str:
        """The same in a word."""
        return "trained" if self.linked(source, target) else "emergent"

    @property
    def aligned(self) -> tuple[tuple[str, str], ...]:
        """Pairs (new, known) in the order in which they are aligned."""
        return tuple((new, link[-1]) for link in self.links for new in link[:-1])

    def near(self, a: str, b: str) -> str:
        """Whether two modalities, in either order, were aligned: ``trained``, else ``emergent``.

        A link of several new ones trains routes between these, whose encoders see the known one alone.
        """
        known = a == b or bool({(a, b), (b, a)} & set(self.aligned))
        return "trained" if known else "emergent"

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters of all networks."""
        tree = start(self, key, PARTS, tuple(self.modalities))
        for number, link in enumerate(self.links):
            guide = self.guide(number)
            tree = update(tree, start(self, key, (GUIDE + guide, CONTEXT + guide), link))
        tree |= start(self, key, ("temperature",), [new for new, _ in self.aligned])
        for part, names in self.controls.names.items():
            tree |= start(self, key, (part,), names)
        return tree

    def guide(self, number: int) -> str:
        """Name of the guides that the link of this number trains."""
        return "" if self.shared_guides else f"_{number}"

    def first_guide(self, name: str) -> str:
        """Name of the guide of the link that a modality came with."""
        return next(self.guide(i) for i, link in enumerate(self.links) if name in link)

    def guide_towards(self, name: str, other: str) -> str:
        """By which guide a modality looks at another, and tells it: of the first link on the way there.

        Links are a tree, so that there is one way, also between those that no link joins.
        """
        reached = {other}
        while True:
            for number, link in enumerate(self.links):
                if name in link and reached & (set(link) - {name}):
                    return self.guide(number)
            reached |= {one for link in self.links if reached & set(link) for one in link} - {name}

    def embed(self, params: Params, name: str, x: jax.Array) -> jax.Array:
        """Unit vectors ``[B, features]`` of images in [-1, 1], or of rows of tokens."""
        return evaluate(self.require(name).encoder, params["align"][name], x)

    def encode(self, params: Params, name: str, x: jax.Array) -> jax.Array:
        """Latents ``[B, *inner]`` of images in [-1, 1], or of rows of tokens (the posterior's mean)."""
        one = self.require(name)
        if one.codec is None:
            assert self.text is not None
            return self.text.apply({"params": params["text"]}, x, method="encode")[0]
        return one.codec.encode(params.get("codec", {}).get(name), x)

    def tokens(
        self, params: Params, name: str, z: jax.Array, tau: jax.Array, guide: str = ""
    ) -> jax.Array:
        """What a modality tells others: ``[B, k, E]`` of latents at clocks ``tau [B]``, for a guide."""
        return evaluate(self.require(name).context, params[CONTEXT + guide][name], z, tau)

    def tell(
        self,
        params: Params,
        states: Mapping[str, jax.Array],
        tau: jax.Array,
        listeners: Sequence[str],
    ) -> dict[tuple[str, str], jax.Array]:
        """What modalities at clocks ``tau [B]`` tell listeners: tokens by (modality, its guide)."""
        wanted = {
            (name, self.guide_towards(name, one)): None
            for name in states for one in listeners if one != name
        }  # fmt: skip
        return {
            (name, guide): self.tokens(params, name, states[name], tau, guide)
            for name, guide in wanted
        }

    def output(
        self,
        params: Params,
        name: str,
        z: jax.Array,
        tau: jax.Array,
        condition: jax.Array,
        keep: jax.Array | None = None,
        partners: Mapping[str, jax.Array] | None = None,
        span: jax.Array | None = None,
    ) -> jax.Array:
        """What the diffuser of a modality gives: a velocity, or a noise.

        Args:
            params: the whole tree.
            name: the modality.
            z: its latents ``[B, *inner]``.
            tau: its clocks ``[B]``, 0: noise, 1: data.
            condition: vectors of the common space ``[B, features]``.
            keep: 1 where an example has its condition ``[B]``.
            partners: what its partners tell it, see :meth:`beside`; {} or None: the modality alone.
            span: of a distilled model: time that is jumped ``[B]``; None: none.
        """
        # Unit vectors of many dimensions have small entries: brought to unit spread.
        given = condition[:, None] * condition.shape[-1] ** 0.5
        net, seen = self.require(name).diffuser, dict[str, Any](keep=keep, partners=partners)
        own = params["diffuser"][name]
        return evaluate(net, own, z, tau, span, condition=given, **seen)

    @property
    def jumps(self) -> bool:
        """Whether diffusers are told how far to jump."""
        return any(getattr(one.diffuser, "span", False) for one in self.modalities.values())

    def beside(self, told: Mapping[tuple[str, str], jax.Array], name: str) -> dict[str, jax.Array]:
        """What the others tell a modality, ``[B, k, E + 4]`` by its guide, of what :meth:`tell` gave.

        Nobody is told what he said himself.
        """
        found: dict[str, list[jax.Array]] = {}
        for other in dict.fromkeys(one for one, _ in told if one != name):
            tokens = told[other, self.guide_towards(other, name)]
            guide = self.guide_towards(name, other)
            found.setdefault(guide, []).append(self.placed(other, tokens))
        return {guide: jnp.concatenate(placed, axis=1) for guide, placed in found.items()}

    def placed(self, name: str, tokens: jax.Array) -> jax.Array:
        """Tokens with their places and a code of them: whoever attends has to know where they are."""
        side, axes = self.modalities[name].context.side, len(self.modalities[name].inner) - 1
        width = tokens.shape[-1]
        tokens = width**0.5 * tokens + position_code((side,) * axes, width)[None]
        return with_places(tokens, side, axes)
