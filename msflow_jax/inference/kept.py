"""Programs that are compiled once for all calls with the same model and settings."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from msflow_jax.inference.runners import make_classifier
from msflow_jax.parallel.batched import Runner


@dataclass(frozen=True)
class _Same:
    """A model as a key: equal to itself alone, and never compared by its parts."""

    model: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.model is other.model

    def __hash__(self) -> int:
        return id(self.model)


def kept_classifier(model: Any, **settings: Any) -> Runner:
    """:func:`~msflow_jax.inference.runners.make_classifier`, once for the same model and settings."""
    return _kept_classifier(_Same(model), **settings)


@lru_cache(maxsize=8)
def _kept_classifier(model: _Same, **settings: Any) -> Runner:
    return make_classifier(model.model, **settings)
