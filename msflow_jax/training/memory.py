"""What a run needs of a device's memory, said before its first step, and what to do where it lacks."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax

from msflow_jax.families import takes_crops
from msflow_jax.parallel.startup import describe_machine
from msflow_jax.settings import leaves
from msflow_jax.training.endings import Stopped

_AT_USE = (
    "the training command again with a smaller --config.sample.batch, which changes nothing else"
)


class OutOfMemory(Stopped):
    """A device, or the computer, has too little memory; the message names what takes less."""


def describe_memory(state: Any, frozen: Any, data: Any, program: Any) -> str:
    """One line: bytes of a device that a run holds, and that its compiled step takes meanwhile.

    Args:
        state: parameters, their moving average and the optimiser's state.
        frozen: parameters that are not trained.
        data: training data that lie on the device.
        program: the compiled step.
    """
    parts = {
        "parameters, average and optimiser": held(state) + held(frozen),
        "data": held(data),
        "a step": _taken(program),
    }
    said = [f"{in_words(size)} for {name}" for name, size in parts.items() if size is not None]
    there = describe_machine().memory
    needed = sum(filter(None, parts.values()))
    more = ", which is more than there is" if needed > there else ""
    return f"memory: {', '.join(said)}; {in_words(needed)} of {in_words(there)}{more}"


def held(tree: Any) -> int:
    """Bytes that the arrays of a tree take on each device."""
    arrays = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]
    return sum(
        math.prod(array.sharding.shard_shape(array.shape)) * array.dtype.itemsize
        for array in arrays
        if not jax.dtypes.issubdtype(array.dtype, jax.dtypes.extended)
    )


def _taken(program: Any) -> int | None:
    """Bytes that a compiled program takes beside what it is given; None where the backend is silent."""
    try:
        return int(program.memory_analysis().temp_size_in_bytes)
    except (AttributeError, NotImplementedError, jax.errors.JaxRuntimeError):
        return None


def in_words(size: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} GiB"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was too little memory, of a device or of the computer."""
    if isinstance(error, MemoryError):
        return True
    words = ("RESOURCE_EXHAUSTED", "Out of memory", "out of memory")
    return isinstance(error, jax.errors.JaxRuntimeError) and any(w in str(error) for w in words)


def out_of_memory(error: BaseException, config: Mapping[str, Any] | None = None) -> OutOfMemory:
    """The error to show instead of one that :func:`is_out_of_memory`.

    Args:
        error: what was raised.
        config: whole configuration of the training that it ended; None where a model is used.
    """
    what = (str(error).strip().splitlines() or ["no more can be had"])[0].removesuffix(".")
    remedies = _AT_USE if config is None else ", or ".join(_remedies(config))
    return OutOfMemory(f"out of memory ({what}): try {remedies}")


@contextmanager
def remedies_named(config: Mapping[str, Any]) -> Iterator[None]:
    """Around a training: too little memory ends it in one line that names what takes less.

    Args:
        config: whole configuration.

    Raises:
        OutOfMemory: there was too little memory.
    """
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(error, config) from error


def _remedies(config: Mapping[str, Any]) -> list[str]:
    """Settings that take less, those first that leave the result as it is."""
    found = dict(leaves(config))
    off = [k for k, v in found.items() if k.endswith((".remat", ".reversible")) and not v]
    batch, parts = found["train.batch"], 2 * found["train.accumulate"]
    out = [f"--config.{key}=True" for key in off]
    if batch % parts == 0:
        out.append(f"--config.train.accumulate={parts}")
    if found["data.loader"] == "device":
        out.append("--config.data.loader=grain")
    if (many := found["sample.batch"]) > 1:
        out.append(f"--config.sample.batch={many // 2} (at use)")
    if batch > 1:
        out.append(f"--config.train.batch={batch // 2}")
    if takes_crops(found["model.family"]):
        out.append("random crops by --config.train.crop=SIDE")
    return out
