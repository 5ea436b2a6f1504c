"""A network's evaluation, traced once for each shape however many programs ask for it."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

Fixed = tuple[tuple[int, Any, type], ...]  # places, values and types of numbers and strings


def evaluate(
    net: nn.Module, params: Any, *given: Any, method: str = "__call__", **named: Any
) -> Any:
    """``net.apply({"params": params}, ...)``, whose trace is kept.

    Tracing a network takes up to a second, more than compiling a small one, and a program asks for the
    same network several times. Within a program it is a call, which XLA inlines.

    Args:
        net: a network of parameters alone, without dropout.
        params: its parameters.
        given: arguments: arrays or trees of them; numbers, strings and booleans are part of the program.
        method: name of a method of the network.
        named: arrays or trees of them, by name.
    """
    # With their types: 1, 1.0 and True are equal, and not the same program.
    fixed: Fixed = tuple(
        (i, one, type(one)) for i, one in enumerate(given) if isinstance(one, int | float | str)
    )
    arrays = [one for one in given if not isinstance(one, int | float | str)]
    try:
        hash((net, fixed))
    except TypeError:  # such as a module with an array among its fields: its trace cannot be kept
        return net.apply({"params": params}, *given, method=method, **named)
    return _program(net, method, fixed)(params, arrays, named)


@functools.lru_cache(maxsize=128)
def _program(net: nn.Module, method: str, fixed: Fixed) -> Callable[..., Any]:
    def run(params: Any, arrays: list[Any], named: dict[str, Any]) -> Any:
        given = list(arrays)
        for place, one, _ in fixed:  # in order, so that each comes to stand where it was
            given.insert(place, one)
        return net.apply({"params": params}, *given, method=method, **named)

    return jax.jit(run)
