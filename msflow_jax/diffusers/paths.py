"""From noise to what is drawn: one modality or several together, beside sources."""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from msflow_jax.diffusers import epsilon
from msflow_jax.diffusers.alignment import mean_condition
from msflow_jax.ode import Solution, integrate, jumps
from msflow_jax.paired.keys import named_key
from msflow_jax.streams import JUMP, Streams, VelocityField, check_jumps, sample_noise

if TYPE_CHECKING:
    from msflow_jax.diffusers.model import Diffusers

Params = Any


def draw(
    model: "Diffusers", params: Params, sources: Mapping[str, jax.Array], key: jax.Array,
    index: jax.Array, *, targets: Sequence[str], steps: int, solver: str, guidance: float,
    partner_guidance: float, guides: Mapping[str, jax.Array] | None = None,
) -> Solution:  # fmt: skip
    """Latents of the targets, integrated from u = 0 to 1.

    Args:
        model: the model.
        params: the whole tree.
        sources: what is known, as it is stored for a loss, by modality; may be empty.
        key: PRNG key.
        index: number that each example's noise is folded from ``[B]``.
        targets: modalities to draw.
        steps: solver steps.
        solver: see :func:`msflow_jax.ode.integrate`; of a distilled model ``jump`` too.
        guidance: weight of the condition from the common space: 1 is none, 0 leaves it out.
        partner_guidance: weight of what the partners' tokens say, alike.
        guides: what the context encoders look at in place of the sources; None: the sources.

    Raises:
        ValueError: guidance, or no source, of a model that was never trained without a condition.
    """
    _check_guidance(model, guidance, partner_guidance, bool(sources))
    if solver == JUMP:
        check_jumps(model.jumps)
    if model.jumps:
        check_jumps(True, guidance=guidance, partner_guidance=partner_guidance)
        if not sources or len(targets) > 1:
            raise ValueError(
                "a distilled model has learned to draw one modality from others: draw several together, "
                "or from nothing, by its teacher"
            )
    count = len(index)
    ones = jnp.ones(count)
    embedded = [model.embed(params, name, x) for name, x in sources.items()]
    features = model.modalities[targets[0]].encoder.features
    condition = mean_condition(*embedded) if embedded else jnp.zeros((count, features))
    keep = ones if embedded else jnp.zeros(count)
    # Sources do not change with u: what they tell is computed once.
    seen = {
        name: model.encode(params, name, x)
        for name, x in (sources if guides is None else guides).items()
    }
    known = model.tell(params, seen, ones, targets)

    def average(a: jax.Array, b: jax.Array, states: Streams) -> Streams:
        tau = jnp.broadcast_to(a, (count,))
        span = jnp.broadcast_to(b - a, (count,)) if model.jumps else None
        told = known | model.tell(params, states, tau, targets)
        velocities = {}
        for name, z in states.items():
            found = guided_output(
                model, params, name, z, tau, condition, keep, model.beside(told, name),
                guidance=guidance if embedded else 1.0, partner_guidance=partner_guidance, span=span,
            )  # fmt: skip
            if model.prediction == "epsilon":
                found = epsilon.vp_to_velocity(found, z, tau)
            velocities[name] = found
        return velocities

    field: VelocityField = lambda u, states: average(u, u, states)  # noqa: E731
    if solver == JUMP:
        field, solver = jumps(average, 1 / steps), "euler"
    noise = {
        name: sample_noise(named_key(key, name), index, model.modalities[name].inner)
        for name in targets
    }
    end = 1.0 if model.prediction == "velocity" else 1.0 - epsilon.LEAST
    return integrate(field, noise, 0.0, end, solver=solver, steps=steps)


def _check_guidance(
    model: "Diffusers", guidance: float, partner_guidance: float, given: bool
) -> None:
    """Refuses guidance by a condition that training never left out, and names that by partners."""
    if not model.guided and (guidance != 1 or not given):
        what = f"guidance={guidance:g}" if given else "no source"
        raise ValueError(
            f"{what}: this model never drew without a condition (model.dropout=0): "
            + ("leave it at 1" if given else "give it one")
        )
    # By 0 the section *partners* draws, which says so itself.
    if partner_guidance not in (0, 1) and not model.alone:
        warnings.warn(
            f"partner_guidance={partner_guidance:g} weighs partners against drawing without them, which "
            "the links of this model did not train (model.frozen_trunks=False): leave it at 1",
            stacklevel=2,
        )


def guided_output(
    model: "Diffusers", params: Params, name: str, z: jax.Array, tau: jax.Array, condition: jax.Array,
    keep: jax.Array, partners: Mapping[str, jax.Array], *, guidance: float, partner_guidance: float,
    span: jax.Array | None = None,
) -> jax.Array:  # fmt: skip
    """What a diffuser gives with both guidances: arguments of ``Diffusers.output`` and :func:`draw`.

    A weight ``g`` adds ``g - 1`` times what its condition changes beside the other one. What has the
    weight 0 is left out of all terms: else the other's would bring it back.
    """
    if not guidance:
        keep, guidance = jnp.zeros_like(keep), 1.0
    if not partner_guidance:
        partners, partner_guidance = {}, 1.0

    def output(kept: jax.Array, beside: Mapping[str, jax.Array] | None) -> jax.Array:
        return model.output(params, name, z, tau, condition, kept, beside, span)

    found = full = output(keep, partners)
    if guidance != 1:
        found = found + (guidance - 1) * (full - output(jnp.zeros_like(keep), partners))
    if partners and partner_guidance != 1:
        found = found + (partner_guidance - 1) * (full - output(keep, None))
    return found
