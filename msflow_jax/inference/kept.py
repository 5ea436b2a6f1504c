"""Programs that are compiled once for all calls with the same model and settings, whatever the seed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from msflow_jax.parallel.batched import Runner, batched
from msflow_jax.settings import SEED, whole_number

# (parameters, items [B, ...], global index of each [B]) -> arrays: what ``batched`` takes. Only what is
# drawn depends on the index: predictions leave it out, and their noise is by the image's content.
Function = Callable[[Any, Any, jax.Array], Any]


@dataclass(frozen=True)
class _Same:
    """A model as a key: equal to itself alone, and never compared by its parts."""

    model: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.model is other.model

    def __hash__(self) -> int:
        return id(self.model)


def kept(
    make: Callable[..., Function], model: Any, *, seed: int, batch: int, axis: int = 0, **settings: Any
) -> Runner:  # fmt: skip
    """``make(model, key, **settings)`` over any number: ``runner(params, items, description="")``.

    Args:
        make: makes the function of a batch.
        model: a model of any family.
        seed: seed of the key, in 0..2^32 - 1. It goes in as an argument, so that another one is no other
            program.
        batch: items at a time; ``axis``: batch axis of the results.
        settings: of the function.

    Raises:
        ValueError: a seed that is none.
    """
    seed = whole_number("seed", seed, SEED)  # a larger one would be another one's, cut to 32 bits
    given = _Same(model), batch, axis
    try:
        hash(tuple(settings.items()))
    except TypeError:  # such as weights in an array
        run = _compiled.__wrapped__(make, *given, **settings)
    else:
        run = _compiled(make, *given, **settings)
    bits = np.asarray(jax.random.key_data(jax.random.key(seed)))
    return lambda params, items, description="": run((params, bits), items, description)


@lru_cache(maxsize=16)
def _compiled(
    make: Callable[..., Function], model: _Same, batch: int, axis: int, **settings: Any
) -> Runner:
    def function(given: Any, items: Any, index: jax.Array) -> Any:
        params, bits = given
        return make(model.model, jax.random.wrap_key_data(bits), **settings)(params, items, index)

    return batched(function, batch, axis)
