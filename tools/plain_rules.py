"""Operations that ONNX or its converter lacks, written out in others: for ``plain_program.py``.

Each of ``RULES`` is given the operation, its operands, and which operation made each value.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

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


def as_array(x: Any) -> Any:
    """An array of JAX."""
    return x if isinstance(x, jax.Array) else jnp.asarray(x)


def known(x: Any) -> bool:
    """Whether a value depends on no input."""
    return not isinstance(x, (jax.core.Tracer, Keys))


def certain(x: Any, what: str) -> Any:
    """A value that depends on no input.

    Raises:
        NotImplementedError: it does.
    """
    if not known(x):
        raise NotImplementedError(f"{what} that depends on the image")
    return np.asarray(x)


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
    keys, data = _halves(values[0]), as_array(values[1])
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
    return values[1] if certain(values[0], "a choice").all() else values[2]


RULES: dict[str, Callable[..., Any]] = {
    "random_fold_in": _fold_in, "random_bits": _bits, "random_split": _split,
    "bitcast_convert_type": _bitcast, "erf_inv": _erf_inv, "reduce_sum": _sum, "pad": _pad,
    "select_if_vmap": _chosen, "nonbatchable": _same, "stop_gradient": _same, "copy": _same,
}  # fmt: skip
