"""Drawing by a solver that chooses its steps for each example."""

from collections.abc import Callable
from typing import Any

import jax

from msflow_jax.ode import ADAPTIVE


def one_by_one(draw: Callable[[Any], Any], given: Any, solver: str) -> Any:
    """What is drawn of a batch; by a solver that chooses its steps of each example by itself.

    Such a solver asks a field for one example at a time, and what the field looks at beside it, such as
    the source, must be of that one.

    Args:
        draw: makes a tree of arrays ``[B, ...]`` of another.
        given: what it is given.
        solver: see :func:`msflow_jax.ode.integrate`.
    """
    if solver not in ADAPTIVE or len(jax.tree.leaves(given)[0]) == 1:
        return draw(given)

    def one(own: Any) -> Any:
        found = draw(jax.tree.map(lambda a: a[None], own))
        return jax.tree.map(lambda a: a[0], found)

    return jax.vmap(one)(given)
