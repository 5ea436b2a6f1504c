"""Parts that a fresh run fits to its data, and what they mean for parameters that another run takes."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msflow_jax.storage.text import listed

_APART = 1.5  # ratio of spreads beyond which latents count as other numbers


class Fit(NamedTuple):
    """A part that a fresh run may have fitted to its data.

    Attributes:
        digest: of what it is.
        kept: value of its setting that takes it from a workdir.
        own: value of its setting in the run that has it, where several parts share one.
        spread: what its numbers are divided by before a network sees them, measured on the run's data.
    """

    digest: str
    kept: str
    own: str = ""
    spread: tuple[float, ...] = ()


# By setting and name; a part that is alone in its setting has no name.
Fitted = Mapping[str, Mapping[str, Fit]]


def warn_of_parts(source: Path, there: Any, here: Any) -> list[str]:
    """Warns of parts by which the parameters of a run to start from have another meaning here.

    Args:
        source: workdir of that run.
        there: its parts.
        here: the parts of this run.

    Returns:
        The settings of parts that were compared as a whole, whether they are the same or not.
    """
    compared = []
    then, now = (one.fitted(source) if hasattr(one, "fitted") else {} for one in (there, here))
    for key in sorted(then.keys() & now.keys()):
        old, new = then[key], now[key]
        other = [name for name in new if name in old and old[name].digest != new[name].digest]
        if other:
            places = {name: old[name].kept if name in old else one.own for name, one in new.items()}
            value = ",".join(f"{name}={place}" if name else place for name, place in places.items())
            warnings.warn(
                f"{source} was trained with another {key}{_of(other)} than this run has, so that what "
                f"is taken of it means something else here: start with --config.{key}={value}",
                stacklevel=4,
            )
        moved = {
            name: _apart(old[name].spread, one.spread)
            for name, one in new.items()
            if name in old and name not in other
        }
        if moved := {name: ratio for name, ratio in moved.items() if ratio > _APART}:
            warnings.warn(
                f"{source} divides latents{_of(moved)} by their spread in its data, which is up to "
                f"{max(moved.values()):.3g} times another than in those of this run: what is taken of "
                "it sees other numbers until training has adapted it",
                stacklevel=4,
            )
        if old.keys() == new.keys():
            compared.append(key)
    return compared


def _of(names: Iterable[str]) -> str:
    """Such as `` of t1w and ct``; nothing of what has no name."""
    named = list(filter(None, names))
    return f" of {listed(named)}" if named else ""


def _apart(then: Sequence[float], now: Sequence[float]) -> float:
    """The largest ratio of two spreads of one channel, 1 or more."""
    if len(then) != len(now):
        return 1.0
    return max((max(a / b, b / a) for a, b in zip(then, now, strict=True)), default=1.0)
