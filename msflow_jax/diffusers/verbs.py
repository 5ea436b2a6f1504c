"""What a model of several modalities does: translate, generate, report."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.diffusers.paths import draw
from msflow_jax.diffusers.text import write_reports
from msflow_jax.paired.one_by_one import one_by_one
from msflow_jax.paired.settings import REPORT
from msflow_jax.streams import Streams, content_index

Params = Any


class Verbs:
    """The verbs of :class:`~msflow_jax.diffusers.model.Diffusers`, pure as all its methods."""

    def translate(
        self: Any,
        params: Params,
        sources: Mapping[str, jax.Array],
        key: jax.Array,
        *,
        target: str,
        steps: int = 25,
        solver: str = "euler",
        guidance: float = 1.0,
        partner_guidance: float = 1.0,
        guides: Mapping[str, jax.Array] | None = None,
        index: jax.Array | None = None,
    ) -> jax.Array:
        """Images of another modality, or reports, of what the sources show.

        Args:
            params: the whole tree.
            sources: images ``[B, *shape]`` in [-1, 1], or rows of tokens ``[B, T]``, by modality.
            key: PRNG key.
            target: the modality to draw.
            steps: solver steps.
            solver: see :func:`msflow_jax.ode.integrate`; of a distilled model ``jump`` too.
            guidance: weight of the sources' place in the common space; 1 is no guidance.
            partner_guidance: weight of what the sources' context encoders say; 1 is no guidance.
            guides: what those look at in place of the sources; None: the sources.
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
            guidance=guidance, partner_guidance=partner_guidance, guides=guides,
        )[target]  # fmt: skip

    def generate(
        self: Any,
        params: Params,
        sources: Mapping[str, jax.Array],
        key: jax.Array,
        *,
        modalities: Sequence[str],
        steps: int = 25,
        solver: str = "euler",
        guidance: float = 1.0,
        partner_guidance: float = 1.0,
        guides: Mapping[str, jax.Array] | None = None,
        index: jax.Array | None = None,
    ) -> Streams:
        """One modality or several together, see :meth:`translate`; without sources by an index."""
        for name in (*modalities, *sources):
            self.require(name)
        if index is None:
            index = content_index(next(iter(sources.values())).astype(jnp.float32))

        def drawn(given: Any) -> Streams:
            known, numbers, others = given
            return draw(
                self, params, known, key, numbers, targets=modalities, steps=steps, solver=solver,
                guidance=guidance, partner_guidance=partner_guidance, guides=others,
            ).end  # fmt: skip

        end = one_by_one(drawn, (dict(sources), jnp.asarray(index), guides), solver)
        return {name: self.decode(params, name, z) for name, z in end.items()}

    def decode(self: Any, params: Params, name: str, z: jax.Array) -> jax.Array:
        """Images in [-1, 1] of latents ``[B, *inner]``; those of reports as they are."""
        codec = self.require(name).codec
        return z if codec is None else codec.decode(params.get("codec", {}).get(name), z)

    def report(
        self: Any,
        params: Params,
        sources: Mapping[str, jax.Array],
        key: jax.Array,
        **settings: Any,
    ) -> tuple[jax.Array, jax.Array]:
        """Reports of the sources: tokens ``[B, T]`` and their mean log-probability ``[B]``."""
        return self.write(params, self.translate(params, sources, key, target=REPORT, **settings))

    def write(self: Any, params: Params, latents: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Tokens ``[B, T]`` of latents of reports, and their mean log-probability ``[B]``."""
        assert self.text is not None
        return write_reports(self.text, params["text"], latents, self.length)
