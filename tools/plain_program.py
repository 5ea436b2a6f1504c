"""A traced function rewritten in operations that ONNX has: no keys, no loops, no 64-bit numbers.

What does not depend on the inputs is computed here and becomes a constant; loops are unrolled, since
each of them counts something that is known. The noise of a prediction is folded from what its image
shows, so it cannot be a constant: Threefry is written out in additions, shifts and exclusive ors of
uint32, and gives the bits that `jax.random` gives (jax_threefry_partitionable, the default).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core
from jax.interpreters import partial_eval
from plain_rules import RULES, as_array, certain, known

_CALLS = {
    "jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat2",
    "checkpoint",
}  # fmt: skip
_SPREADING = {"broadcast_in_dim", "iota"}  # what they make is not worth keeping in a file


def plain(function: Callable[..., Any], *inputs: jax.ShapeDtypeStruct) -> Callable[..., list[Any]]:
    """A function of the same arrays that is of plain operations alone, for ``jax2onnx.to_onnx``.

    Args:
        function: a function of arrays.
        *inputs: shapes and types of its arguments; the first axis may be a symbol.

    Returns:
        A function that gives the leaves of what ``function`` returns.

    Raises:
        NotImplementedError: an operation that cannot be written so, such as a loop whose length depends
            on the inputs.
    """
    closed = jax.make_jaxpr(function)(*inputs)
    wanted = [True] * len(closed.jaxpr.outvars)
    jaxpr, _ = partial_eval.dce_jaxpr(closed.jaxpr, wanted, instantiate=True)

    def written_out(*arrays: Any) -> list[Any]:
        return list(map(as_array, _evaluate(jaxpr, closed.consts, arrays, {})))

    # Traced here, since jax2onnx traces with functions of its own in place of those of JAX.
    return core.jaxpr_as_fun(jax.make_jaxpr(written_out)(*inputs))


def _evaluate(jaxpr: Any, consts: Sequence[Any], arrays: Sequence[Any], kept: Any) -> list[Any]:
    """Outputs of a jaxpr of which some inputs are known.

    Args:
        jaxpr: an open jaxpr.
        consts: its constants.
        arrays: its inputs.
        kept: results of operations on what is known: an array that is computed in each turn of a loop
            is one constant of the file.
    """
    env: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    env |= zip(jaxpr.invars, arrays, strict=True)
    made: dict[Any, Any] = {}

    def read(x: Any) -> Any:
        if not isinstance(x, core.Literal):
            return env[x]
        if ("literal", id(x)) not in kept:
            kept["literal", id(x)] = x, np.asarray(x.val, x.aval.dtype)
        return kept["literal", id(x)][1]

    for eqn in jaxpr.eqns:
        values = [read(x) for x in eqn.invars]
        name = eqn.primitive.name
        if name in _CALLS:
            inner = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
            found = _inside(inner, values, kept)
        elif name in _CONTROL:
            found = _CONTROL[name](eqn.params, values, kept)
        elif _foldable(eqn, values):
            found = _folded(eqn, values, kept)
        elif name in RULES:
            found = [RULES[name](eqn, values, made)]
        else:
            found = eqn.primitive.bind(*values, **eqn.params)
            found = found if eqn.primitive.multiple_results else [found]
        env |= zip(eqn.outvars, found, strict=True)
        made |= dict.fromkeys(eqn.outvars, eqn)
    return [read(x) for x in jaxpr.outvars]


def _inside(jaxpr: Any, values: Sequence[Any], kept: Any) -> list[Any]:
    consts = jaxpr.consts if isinstance(jaxpr, core.ClosedJaxpr) else ()
    return _evaluate(getattr(jaxpr, "jaxpr", jaxpr), consts, values, kept)


def _foldable(eqn: Any, values: Sequence[Any]) -> bool:
    shapes = [getattr(x.aval, "shape", ()) for x in eqn.outvars]
    fixed = all(isinstance(side, (int, np.integer)) for shape in shapes for side in shape)
    if not (values and fixed and all(map(known, values))):
        return eqn.primitive.name == "iota" and fixed and math.prod(shapes[0]) < 4096
    return eqn.primitive.name not in _SPREADING or math.prod(shapes[0]) < 4096


def _folded(eqn: Any, values: Sequence[Any], kept: Any) -> list[Any]:
    place = (id(eqn), *map(id, values))
    if place not in kept:
        with jax.ensure_compile_time_eval():
            found = eqn.primitive.bind(*map(as_array, values), **eqn.params)
        # With the operands: their ids must not be given to others.
        kept[place] = found if eqn.primitive.multiple_results else [found], eqn, values
    return kept[place][0]


def _while(params: Any, values: Sequence[Any], kept: Any) -> list[Any]:
    of_test, of_body = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    test, body, state = values[:of_test], values[of_test:of_body], list(values[of_body:])
    while True:
        (going,) = _inside(params["cond_jaxpr"], [*test, *state], kept)
        if not certain(going, "a loop of a length").any():
            return state
        state = _inside(params["body_jaxpr"], [*body, *state], kept)


def _cond(params: Any, values: Sequence[Any], kept: Any) -> list[Any]:
    number = int(certain(values[0], "a choice of operations"))
    branches = params["branches"]
    return _inside(branches[min(max(number, 0), len(branches) - 1)], values[1:], kept)


def _scan(params: Any, values: Sequence[Any], kept: Any) -> list[Any]:
    consts, carry, columns = _parts(params, values)
    length = params["length"]
    # Turns that know nothing of each other are a batch: one copy of all.
    if not carry and length > 1:
        turn = jax.vmap(lambda *row: _inside(params["jaxpr"], [*consts, *row], kept))
        return turn(*map(as_array, columns))
    order = range(length)[::-1] if params["reverse"] else range(length)
    rows: list[Any] = [None] * length
    for i in order:
        row = [_row(xs, i, kept) for xs in columns]
        found = _inside(params["jaxpr"], [*consts, *carry, *row], kept)
        carry, rows[i] = found[: len(carry)], found[len(carry) :]
    return [*carry, *map(_stacked, zip(*rows, strict=True))]


def _parts(params: Any, values: Sequence[Any]) -> Sequence[list[Any]]:
    """What all turns of a loop see, what each hands to the next, and of what each sees a row."""
    if "ft_in" in params:  # of newer JAX (0.12): a tree of the three
        return [list(part) for part in params["ft_in"].update(values).unpack()]
    first, rows = params["num_consts"], params["num_consts"] + params["num_carry"]
    return [list(values[:first]), list(values[first:rows]), list(values[rows:])]


def _row(xs: Any, i: int, kept: Any) -> Any:
    if not known(xs):
        return lax.index_in_dim(xs, i, keepdims=False)
    place = ("row", id(xs), i)
    if place not in kept:
        with jax.ensure_compile_time_eval():
            kept[place] = as_array(xs)[i], xs
    return kept[place][0]


def _stacked(rows: Sequence[Any]) -> Any:
    if all(map(known, rows)):
        with jax.ensure_compile_time_eval():
            return jnp.stack(rows)
    return lax.concatenate([lax.expand_dims(as_array(x), [0]) for x in rows], 0)


_CONTROL = {"while": _while, "cond": _cond, "scan": _scan}
