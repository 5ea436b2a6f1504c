"""A traced function rewritten in operations that ONNX has: no keys, no loops, no 64-bit numbers.

What does not depend on the inputs is computed here and becomes a constant; loops are unrolled, since
each of them counts something that is known. The noise of a prediction is folded from what its image
shows, so it cannot be a constant: Threefry is written out in additions, shifts and exclusive ors of
uint32, and gives the bits that `jax.random` gives (jax_threefry_partitionable, the default).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core
from jax.interpreters import partial_eval

_CALLS = {
    "jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat2",
    "checkpoint",
}  # fmt: skip
_SPREADING = {"broadcast_in_dim", "iota"}  # what they make is not worth keeping in a file
_ONE = 0x3F800000  # bits of 1.0
_ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
# Giles (2010), "Approximating the erfinv function": as XLA has it; near 0 and near the ends.
_CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
    -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_ENDS = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
    0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip


@dataclass(frozen=True)
class Keys:
    """Threefry keys that depend on the inputs: two uint32 arrays ``[...]``."""

    first: Any
    second: Any


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
        return list(map(_array, _evaluate(jaxpr, closed.consts, arrays, {})))

    # Traced here, since jax2onnx traces with functions of its own in place of those of JAX.
    return core.jaxpr_as_fun(jax.make_jaxpr(written_out)(*inputs))


def _array(x: Any) -> Any:
    return x if isinstance(x, jax.Array) else jnp.asarray(x)


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
        elif name in _RULES:
            found = [_RULES[name](eqn, values, made)]
        else:
            found = eqn.primitive.bind(*values, **eqn.params)
            found = found if eqn.primitive.multiple_results else [found]
        env |= zip(eqn.outvars, found, strict=True)
        made |= dict.fromkeys(eqn.outvars, eqn)
    return [read(x) for x in jaxpr.outvars]


def _inside(jaxpr: Any, values: Sequence[Any], kept: Any) -> list[Any]:
    consts = jaxpr.consts if isinstance(jaxpr, core.ClosedJaxpr) else ()
    return _evaluate(getattr(jaxpr, "jaxpr", jaxpr), consts, values, kept)


def _known(x: Any) -> bool:
    return not isinstance(x, (jax.core.Tracer, Keys))


def _foldable(eqn: Any, values: Sequence[Any]) -> bool:
    shapes = [getattr(x.aval, "shape", ()) for x in eqn.outvars]
    fixed = all(isinstance(side, (int, np.integer)) for shape in shapes for side in shape)
    if not (values and fixed and all(map(_known, values))):
        return eqn.primitive.name == "iota" and fixed and math.prod(shapes[0]) < 4096
    return eqn.primitive.name not in _SPREADING or math.prod(shapes[0]) < 4096


def _folded(eqn: Any, values: Sequence[Any], kept: Any) -> list[Any]:
    place = (id(eqn), *map(id, values))
    if place not in kept:
        with jax.ensure_compile_time_eval():
            found = eqn.primitive.bind(*map(_array, values), **eqn.params)
        # With the operands: their ids must not be given to others.
        kept[place] = found if eqn.primitive.multiple_results else [found], eqn, values
    return kept[place][0]


def _certain(x: Any, what: str) -> Any:
    if not _known(x):
        raise NotImplementedError(f"{what} that depends on the image")
    return np.asarray(x)


def _while(params: Any, values: Sequence[Any], kept: Any) -> list[Any]:
    of_test, of_body = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    test, body, state = values[:of_test], values[of_test:of_body], list(values[of_body:])
    while True:
        (going,) = _inside(params["cond_jaxpr"], [*test, *state], kept)
        if not _certain(going, "a loop of a length").any():
            return state
        state = _inside(params["body_jaxpr"], [*body, *state], kept)


def _cond(params: Any, values: Sequence[Any], kept: Any) -> list[Any]:
    number = int(_certain(values[0], "a choice of operations"))
    branches = params["branches"]
    return _inside(branches[min(max(number, 0), len(branches) - 1)], values[1:], kept)


def _scan(params: Any, values: Sequence[Any], kept: Any) -> list[Any]:
    of_carry = params["num_consts"] + params["num_carry"]
    consts, carry = values[: params["num_consts"]], list(values[params["num_consts"] : of_carry])
    length = params["length"]
    if (
        not carry and length > 1
    ):  # turns that know nothing of each other are a batch: one copy of all
        turn = jax.vmap(lambda *row: _inside(params["jaxpr"], [*consts, *row], kept))
        return turn(*map(_array, values[of_carry:]))
    order = range(length)[::-1] if params["reverse"] else range(length)
    rows: list[Any] = [None] * length
    for i in order:
        row = [_row(xs, i, kept) for xs in values[of_carry:]]
        found = _inside(params["jaxpr"], [*consts, *carry, *row], kept)
        carry, rows[i] = found[: len(carry)], found[len(carry) :]
    return [*carry, *map(_stacked, zip(*rows, strict=True))]


def _row(xs: Any, i: int, kept: Any) -> Any:
    if not _known(xs):
        return lax.index_in_dim(xs, i, keepdims=False)
    place = ("row", id(xs), i)
    if place not in kept:
        with jax.ensure_compile_time_eval():
            kept[place] = _array(xs)[i], xs
    return kept[place][0]


def _stacked(rows: Sequence[Any]) -> Any:
    if all(map(_known, rows)):
        with jax.ensure_compile_time_eval():
            return jnp.stack(rows)
    return lax.concatenate([lax.expand_dims(_array(x), [0]) for x in rows], 0)


_CONTROL = {"while": _while, "cond": _cond, "scan": _scan}


def _halves(key: Any) -> Keys:
    """Keys as arrays, also those that are known."""
    if isinstance(key, Keys):
        return key
    with jax.ensure_compile_time_eval():
        if not str(jax.random.key_impl(key)).startswith(("threefry2x32", "fry")):
            raise NotImplementedError(f"random numbers of {jax.random.key_impl(key)}")
        data = jax.random.key_data(key)
        return Keys(data[..., 0], data[..., 1])


def _threefry(keys: Keys, first: Any, second: Any) -> tuple[Any, Any]:
    """The block cipher of Salmon et al. (2011), 20 rounds, of uint32 of shapes that fit each other."""
    schedule = keys.first, keys.second, keys.first ^ keys.second ^ np.uint32(0x1BD11BDA)
    first, second = first + schedule[0], second + schedule[1]
    for i in range(5):
        for by in _ROTATIONS[i % 2]:
            first = first + second
            second = first ^ ((second << np.uint32(by)) | (second >> np.uint32(32 - by)))
        first = first + schedule[(i + 1) % 3]
        second = second + schedule[(i + 2) % 3] + np.uint32(i + 1)
    return first, second


def _fold_in(eqn: Any, values: Any, made: Any) -> Keys:
    keys, data = _halves(values[0]), _array(values[1])
    return Keys(*_threefry(keys, jnp.zeros_like(data), data))


def _counted(keys: Keys, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Threefry of the numbers of places in an array, ``[*keys, *shape]``."""
    first, second = (
        half.reshape(*half.shape, *(1,) * len(shape)) for half in (keys.first, keys.second)
    )
    count = np.arange(math.prod(shape), dtype=np.uint32)
    count = count.reshape(*(1,) * keys.first.ndim, *shape)
    return _threefry(Keys(first, second), np.zeros_like(count), count)


def _bits(eqn: Any, values: Any, made: Any) -> Any:
    if eqn.params["bit_width"] != 32:
        raise NotImplementedError(f"random numbers of {eqn.params['bit_width']} bits")
    first, second = _counted(_halves(values[0]), eqn.params["shape"])
    return first ^ second


def _split(eqn: Any, values: Any, made: Any) -> Keys:
    return Keys(*_counted(_halves(values[0]), eqn.params["shape"]))


def _bitcast(eqn: Any, values: Any, made: Any) -> Any:
    """Bits of floats in [1, 2), as `jax.random.uniform` makes them: ONNX cannot cast bits."""
    before = made.get(eqn.invars[0])
    or_one = before and before.primitive.name == "or" and isinstance(before.invars[1], core.Literal)
    if not or_one or before.invars[1].val != _ONE or eqn.params["new_dtype"] != jnp.float32:
        raise NotImplementedError("a cast of bits")
    return (values[0] ^ np.uint32(_ONE)).astype(jnp.float32) * np.float32(2**-23) + np.float32(1)


def _erf_inv(eqn: Any, values: Any, made: Any) -> Any:
    (x,) = values
    w = -jnp.log1p(-x * x)
    centre, end = w - np.float32(2.5), jnp.sqrt(w) - np.float32(3)
    p, q = np.float32(_CENTRE[0]), np.float32(_ENDS[0])
    for of_centre, of_ends in zip(_CENTRE[1:], _ENDS[1:], strict=True):
        p, q = p * centre + np.float32(of_centre), q * end + np.float32(of_ends)
    return jnp.where(w < 5, p, q) * x


def _sum(eqn: Any, values: Any, made: Any) -> Any:
    """Of uint32, which ONNX Runtime does not sum: by halves, and around the end as in JAX."""
    (x,), axes = values, eqn.params["axes"]
    if x.dtype != jnp.uint32:
        return eqn.primitive.bind(x, **eqn.params)
    rest = [i for i in range(x.ndim) if i not in axes]
    x = lax.transpose(x, [*rest, *axes])
    x = x.reshape(*x.shape[: len(rest)], math.prod(x.shape[len(rest) :]))
    while (size := x.shape[-1]) > 1:
        half = size // 2
        left = x[..., 2 * half :]
        x = x[..., :half] + x[..., half : 2 * half]
        x = jnp.concatenate([x, left], axis=-1) if left.shape[-1] else x
    return x[..., 0]


def _pad(eqn: Any, values: Any, made: Any) -> Any:
    """Joined with its edges: jax2onnx pads no array of any number of images."""
    x, value = values
    for axis, (low, high, between) in enumerate(eqn.params["padding_config"]):
        if between:
            raise NotImplementedError("padding between entries")
        if low < 0 or high < 0:
            x = lax.slice_in_dim(x, max(-low, 0), x.shape[axis] - max(-high, 0), axis=axis)
        edges = [(*x.shape[:axis], max(n, 0), *x.shape[axis + 1 :]) for n in (low, high)]
        before, after = (
            [jnp.broadcast_to(value, edge)] if n > 0 else []
            for edge, n in zip(edges, (low, high), strict=True)
        )
        x = lax.concatenate([*before, x, *after], axis) if before or after else x
    return x


def _same(eqn: Any, values: Any, made: Any) -> Any:
    return values[0]


def _chosen(eqn: Any, values: Any, made: Any) -> Any:
    """Of equinox: a selection where the loop is of a batch."""
    return values[1] if _certain(values[0], "a choice").all() else values[2]


_RULES: dict[str, Callable[..., Any]] = {
    "random_fold_in": _fold_in, "random_bits": _bits, "random_split": _split,
    "bitcast_convert_type": _bitcast, "erf_inv": _erf_inv, "reduce_sum": _sum, "pad": _pad,
    "select_if_vmap": _chosen, "nonbatchable": _same, "stop_gradient": _same, "copy": _same,
}  # fmt: skip
