"""A run of steps whose backward pass inverts them: what it keeps does not grow with the depth.

Reverse-mode differentiation keeps what came into every step (RevNet, arXiv 1707.04585, keeps nothing): a
bijection gives it back from what came out. It costs one inverse more than recomputing the steps, and the
gradient is that at inputs that float32 has rounded on the way back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Carry = tuple[jax.Array, jax.Array]  # entries, and the sum of their log-det contributions


@dataclass(frozen=True)
class Part:
    """A bijection of a step, as two functions ``(entries, learned, fixed, given)``.

    Attributes:
        forward: gives output and log-det contributions, which broadcast against it.
        inverse: gives what ``forward`` maps to the entries.
    """

    forward: Callable[..., Carry]
    inverse: Callable[..., jax.Array]


def run_invertible(
    parts: Sequence[Part], carry: Carry, learned: Any, fixed: Any, given: Any
) -> Carry:
    """``carry`` through all steps, one after the other.

    Args:
        parts: what a step consists of, in order.
        carry: entries ``[B, *space, C]`` and log-dets of their shape.
        learned: tree of arrays ``[steps, ...]`` that gradients are taken of.
        fixed: tree of arrays ``[steps, ...]`` whose gradient is 0, or is not wanted.
        given: tree of arrays that all steps see, without gradients.
    """

    def forward(part: Part, x: jax.Array, own: Any, rest: Any, seen: Any) -> Carry:
        z, log_det = part.forward(x, own, rest, seen)
        return z, jnp.broadcast_to(log_det, z.shape)

    @jax.custom_vjp
    def run(carry: Carry, learned: Any, fixed: Any, seen: Any) -> Carry:
        def body(state: Carry, each: Any) -> tuple[Carry, None]:
            x, total = state
            own, rest = each
            for part in parts:
                x, log_det = forward(part, x, own, rest, seen)
                total = total + log_det
            return (x, total), None

        return lax.scan(body, carry, (learned, fixed))[0]

    def ahead(carry: Carry, learned: Any, fixed: Any, seen: Any) -> tuple[Carry, Any]:
        out = run(carry, learned, fixed, seen)
        return out, (out[0], learned, fixed, seen)

    def back(kept: Any, cotangents: Carry) -> tuple[Any, ...]:
        z, learned, fixed, seen = kept
        # Log-dets are only added to: their cotangent is the same before and after every step.
        dz, dlog = cotangents

        def body(state: Carry, each: Any) -> tuple[Carry, Any]:
            z, dz = state
            own, rest = each
            total = jax.tree.map(jnp.zeros_like, own)
            for part in reversed(parts):
                x = part.inverse(z, own, rest, seen)
                pull = jax.vjp(lambda x, own, p=part: forward(p, x, own, rest, seen), x, own)[1]
                dz, more = pull((dz, dlog))
                total = jax.tree.map(jnp.add, total, more)
                z = x
            return (z, dz), total

        (_, dx), dlearned = lax.scan(body, (z, dz), (learned, fixed), reverse=True)
        return (dx, dlog), dlearned, None, None

    run.defvjp(ahead, back)
    return run(carry, learned, fixed, given)
