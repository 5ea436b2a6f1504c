"""MedM2G: a diffuser for each modality, aligned conditions, and guidance between those drawn together.

arXiv 2403.04290. Every modality is a stream with a clock: drawn from noise (``FORWARD``) or only looked
at (``CLEAN``). A diffuser sees its own stream, a condition from the common space of the encoders, and,
where others are there, the tokens of their context encoders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.diffusers.networks import PARTS, Modality, start
from msflow_jax.diffusers.paths import draw
from msflow_jax.diffusers.text import TextAutoencoder, write_reports
from msflow_jax.nets.dit import position_code
from msflow_jax.streams import Streams, content_index

Params = Any
PREDICTIONS = ("velocity", "epsilon")
REPORT = "report"  # name of the modality of text


@dataclass(frozen=True)
class Diffusers:
    """All modalities of a model. All methods are pure.

    Attributes:
        modalities: networks by the name of the modality.
        links: pairs (new, known) in the order of the training: the new one attaches to the known one.
        classes: class names of the data, which this model does not need.
        text: codec of reports; None where there are none.
        length: tokens in a row of a report.
        prediction: what diffusers give: ``velocity`` of the straight path, or ``epsilon``, the noise of
            the variance-preserving one.
        temperature: of the contrastive term between context encoders.
        regression: residual U-Net that translations are compared with; None for none.
        regressed: routes (source, target) that it is trained on.

    Raises:
        ValueError: a link of an unknown modality, or an unknown prediction.
    """

    modalities: Mapping[str, Modality]
    links: tuple[tuple[str, str], ...]
    classes: tuple[str, ...] = ()
    text: TextAutoencoder | None = None
    length: int = 0
    prediction: str = "velocity"
    temperature: float = 0.1
    regression: nn.Module | None = None
    regressed: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.prediction not in PREDICTIONS:
            known = ", ".join(PREDICTIONS)
            raise ValueError(f"unknown prediction {self.prediction!r}: choose one of {known}")
        for name in (one for link in self.links for one in link):
            self.require(name)

    @property
    def verbs(self) -> tuple[str, ...]:
        """What a model of these modalities can do."""
        return ("translate", "report") if self.text is not None else ("translate",)

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
        return any({source, target} == set(link) for link in self.links)

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters of all networks."""
        tree = start(self, key, PARTS, tuple(self.modalities))
        tree |= start(self, key, ("temperature",), [new for new, _ in self.links])
        return tree | start(self, key, ("regression",), ["-".join(r) for r in self.regressed])

    def embed(self, params: Params, name: str, x: jax.Array) -> jax.Array:
        """Unit vectors ``[B, features]`` of images in [-1, 1], or of rows of tokens."""
        return self.require(name).encoder.apply({"params": params["align"][name]}, x)  # type: ignore[return-value]

    def encode(self, params: Params, name: str, x: jax.Array) -> jax.Array:
        """Latents ``[B, *inner]`` of images in [-1, 1], or of rows of tokens (the posterior's mean)."""
        one = self.require(name)
        if one.codec is None:
            assert self.text is not None
            return self.text.apply({"params": params["text"]}, x, method="encode")[0]
        return one.codec.encode(params.get("codec", {}).get(name), x)

    def tokens(self, params: Params, name: str, z: jax.Array, tau: jax.Array) -> jax.Array:
        """What a modality tells the others: ``[B, k, E]`` of latents at clocks ``tau [B]``."""
        variables = {"params": params["context"][name]}
        return self.require(name).context.apply(variables, z, tau)  # type: ignore[return-value]

    def output(
        self,
        params: Params,
        name: str,
        z: jax.Array,
        tau: jax.Array,
        condition: jax.Array,
        keep: jax.Array | None = None,
        partners: Mapping[str, jax.Array] | None = None,
    ) -> jax.Array:
        """What the diffuser of a modality gives: a velocity, or a noise.

        Args:
            params: the whole tree.
            name: the modality.
            z: its latents ``[B, *inner]``.
            tau: its clocks ``[B]``, 0: noise, 1: data.
            condition: vectors of the common space ``[B, features]``.
            keep: 1 where an example has its condition ``[B]``.
            partners: tokens of the others by modality, ``[B, k, E]`` each; none: the modality alone.
        """
        # Unit vectors of many dimensions have small entries: brought to unit spread.
        given = condition[:, None] * condition.shape[-1] ** 0.5
        partner = None
        if partners:
            placed = [self._placed(other, one) for other, one in partners.items()]
            partner = jnp.concatenate(placed, axis=1)
        net, variables = self.require(name).diffuser, {"params": params["diffuser"][name]}
        return net.apply(variables, z, tau, condition=given, keep=keep, partner=partner)  # type: ignore[return-value]

    def _placed(self, name: str, tokens: jax.Array) -> jax.Array:
        """Tokens with a code of their places: whoever attends to them has to know where they are."""
        one = self.modalities[name]
        grid = (one.context.side,) * (len(one.inner) - 1)
        width = tokens.shape[-1]
        return width**0.5 * tokens + position_code(grid, width)[None]

    def regress(self, params: Params, route: tuple[str, str], x: jax.Array) -> jax.Array:
        """What the control of a route, a residual U-Net, makes of images ``[B, *shape]`` in [-1, 1]."""
        assert self.regression is not None
        variables = {"params": params["regression"]["-".join(route)]}
        found: Any = self.regression.apply(variables, x, jnp.zeros(len(x)))
        return x + found

    def together(
        self,
        params: Params,
        states: Streams,
        clocks: Mapping[str, jax.Array],
        conditions: Mapping[str, jax.Array],
        drawn: Sequence[str],
        keep: Mapping[str, jax.Array] | None = None,
    ) -> tuple[Streams, Streams]:
        """Outputs of the modalities that are drawn, each looking at all others, and the tokens of all.

        Arguments as for :meth:`output`, by modality; conditions of those that are drawn.
        """
        told = {name: self.tokens(params, name, z, clocks[name]) for name, z in states.items()}
        outputs = {
            name: self.output(
                params, name, states[name], clocks[name], conditions[name],
                None if keep is None else keep[name],
                {other: one for other, one in told.items() if other != name},
            )
            for name in drawn
        }  # fmt: skip
        return outputs, told

    def translate(
        self,
        params: Params,
        sources: Mapping[str, jax.Array],
        key: jax.Array,
        *,
        target: str,
        steps: int = 25,
        solver: str = "euler",
        guidance: float = 1.0,
        partner_guidance: float = 1.0,
        index: jax.Array | None = None,
    ) -> jax.Array:
        """Images of another modality, or reports, of what the sources show.

        Args:
            params: the whole tree.
            sources: images ``[B, *shape]`` in [-1, 1], or rows of tokens ``[B, T]``, by modality.
            key: PRNG key.
            target: the modality to draw.
            steps: solver steps.
            solver: see :func:`msflow_jax.ode.integrate`.
            guidance: weight of the sources' place in the common space; 1 is no guidance.
            partner_guidance: weight of what the sources' context encoders say; 1 is no guidance.
            index: number that each example's noise is folded from ``[B]``; None: the sources' content.

        Returns:
            Images ``[B, *shape]`` in [-1, 1]; of reports latents, see :meth:`report`.

        Raises:
            ValueError: no source, an unknown modality, or the target among the sources.
        """
        if not sources or target in sources:
            raise ValueError(f"to draw {target!r}, give at least one other modality as a source")
        return self.generate(
            params, sources, key, modalities=(target,), steps=steps, solver=solver, index=index,
            guidance=guidance, partner_guidance=partner_guidance,
        )[target]  # fmt: skip

    def generate(
        self,
        params: Params,
        sources: Mapping[str, jax.Array],
        key: jax.Array,
        *,
        modalities: Sequence[str],
        steps: int = 25,
        solver: str = "euler",
        guidance: float = 1.0,
        partner_guidance: float = 1.0,
        index: jax.Array | None = None,
    ) -> Streams:
        """One modality or several together, see :meth:`translate`; without sources by an index."""
        for name in (*modalities, *sources):
            self.require(name)
        if index is None:
            index = content_index(next(iter(sources.values())).astype(jnp.float32))
        out = draw(
            self, params, sources, key, index, targets=modalities, steps=steps, solver=solver,
            guidance=guidance, partner_guidance=partner_guidance,
        )  # fmt: skip
        return {name: self.decode(params, name, z) for name, z in out.end.items()}

    def decode(self, params: Params, name: str, z: jax.Array) -> jax.Array:
        """Images in [-1, 1] of latents ``[B, *inner]``; those of reports as they are."""
        codec = self.require(name).codec
        return z if codec is None else codec.decode(params.get("codec", {}).get(name), z)

    def report(
        self, params: Params, sources: Mapping[str, jax.Array], key: jax.Array, **settings: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Reports of the sources: tokens ``[B, T]`` and their mean log-probability ``[B]``."""
        latents = self.translate(params, sources, key, target=REPORT, **settings)
        assert self.text is not None
        return write_reports(self.text, params["text"], latents, self.length)
