"""What one array of a batch is: its kind decides how it is stored, moved and handed to the loss.

| kind | stored | with the plan of a step | reaches the loss as |
|---|---|---|---|
| ``image`` | uint8 or float in [-1, 1], ``[N, *space, C]`` | moved | float32 in [-1, 1] |
| ``latent`` | float ``[N, V, *space, C]`` | one of V variants chosen, moved | float32 |
| ``map`` | uint8 ``[N, *space]`` | moved | int32 |
| ``label`` | int32 ``[N]`` | as it is | int32 |
| ``tokens`` | int32 ``[N, T]``, 0 for padding | as it is | int32 |

Moved: along its axes of space, of which there are two or three. Nothing is told from an array's rank
or from its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

# Modality name -> [B, *shape]; "present" -> {name: bool [B]} where some lack one.
Batch = dict[str, Any]


class _Kind(NamedTuple):
    """How many axes stand before and after those of space, and what may be stored."""

    before: int
    after: int
    spatial: bool
    stored: tuple[str, ...]


_FLOATS = ("float16", "bfloat16", "float32")
KINDS = {
    "image": _Kind(0, 1, True, ("uint8", *_FLOATS)),
    "latent": _Kind(1, 1, True, _FLOATS),
    "map": _Kind(0, 0, True, ("uint8",)),
    "label": _Kind(0, 0, False, ("int32",)),
    "tokens": _Kind(0, 1, False, ("int32",)),
}
_USUAL = {"image": "image", "label": "label", "map": "map"}  # the kind of an array called that
_RESERVED = ("present", "index")  # words of a batch and of a plan


@dataclass(frozen=True)
class Modality:
    """One of the things that are known of every example.

    Attributes:
        kind: one of ``KINDS``.
        shape: shape of one example as it is stored: ``[*space, C]`` of an image, ``[V, *space, C]`` of
            latents in V flipped variants, ``[*space]`` of a map, ``()`` of a label, ``[T]`` of tokens.
        range: smallest and largest value that reaches the loss; empty where there is no bound.
        names: what the values mean: class names of a label or a map, channel names of an image.
    """

    kind: str
    shape: tuple[int, ...]
    range: tuple[float, ...] = ()
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("shape", "range", "names"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r} of a modality; known: {', '.join(KINDS)}")
        if self.kind == "image" and not self.range:
            object.__setattr__(self, "range", (-1.0, 1.0))
        known = KINDS[self.kind]
        axes = len(self.shape) - known.before - known.after
        if axes not in ((2, 3) if known.spatial else (0,)):
            raise ValueError(
                f"a modality of kind {self.kind!r} has the shape {self._expected()} for each example, "
                f"got {list(self.shape)}"
            )

    @property
    def moves(self) -> bool:
        """Whether flips and shifts move it."""
        return KINDS[self.kind].spatial

    @property
    def space_axes(self) -> tuple[int, ...]:
        """The axes of space in a stored array ``[N, *shape]``."""
        known = KINDS[self.kind]
        return tuple(range(1 + known.before, 1 + len(self.shape) - known.after)) * known.spatial

    @property
    def sides(self) -> tuple[int, ...]:
        """Its size along every axis of space."""
        return tuple(self.shape[axis - 1] for axis in self.space_axes)

    @property
    def variants(self) -> int:
        """How many flipped variants of every example are stored; 0 where the kind has none."""
        return self.shape[0] if self.kind == "latent" else 0

    def check(self, array: np.ndarray, name: str = "") -> None:
        """Refuses an array that is not stored as its kind is.

        Args:
            array: all examples, ``[N, *shape]``.
            name: name of the modality, for the message.

        Raises:
            ValueError: for another dtype or shape; says what is expected.
        """
        stored = KINDS[self.kind].stored
        if array.dtype.name in stored and array.shape[1:] == self.shape and array.ndim:
            return
        raise ValueError(
            f"{name or self.kind} must be {' or '.join(stored)} of shape "
            f"[{', '.join(map(str, ('N', *self.shape)))}] (kind {self.kind!r}: [N, "
            f"{self._expected()[1:]}), got {array.dtype} {list(array.shape)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns a dict of JSON types; ``Modality(**fields)`` is its inverse."""
        return {
            "kind": self.kind, "shape": list(self.shape), "range": list(self.range),
            "names": list(self.names),
        }  # fmt: skip

    def _expected(self) -> str:
        known = KINDS[self.kind]
        axes = ["V"] * known.before + ["*space"] * known.spatial
        axes += ["C" if known.spatial else "T"] * known.after
        return f"[{', '.join(axes)}]"


def describe(
    arrays: Mapping[str, np.ndarray], kinds: Mapping[str, str] | None = None
) -> dict[str, Modality]:
    """The modalities of some arrays.

    Args:
        arrays: arrays ``[N, ...]`` by name.
        kinds: kind of each array by name; arrays called ``image``, ``label`` or ``map`` need none.

    Returns:
        A modality for each array.

    Raises:
        ValueError: for a name without a kind, or an array that its kind does not allow; names it.
    """
    known = {**_USUAL, **(kinds or {})}
    found = {}
    for name, array in arrays.items():
        if name not in known or name in _RESERVED:
            raise ValueError(
                f"of which kind is the array {name!r}? Say so by kinds={{{name!r}: ...}} with one of "
                f"{', '.join(KINDS)}; the names {', '.join(_RESERVED)} are taken"
            )
        try:
            found[name] = Modality(known[name], array.shape[1:])
        except ValueError as error:
            raise ValueError(f"{name}, {array.dtype} {list(array.shape)}: {error}") from error
        found[name].check(array, name)
    return found


def check_lengths(count: int, parts: Mapping[str, Any], known: str = "") -> None:
    """Refuses parts of which one does not have an entry per example.

    Args:
        count: number of examples.
        parts: what there must be ``count`` of, by name.
        known: whose number that is, in words; empty: ``count`` examples.

    Raises:
        ValueError: for another number; names the part.
    """
    for name, part in parts.items():
        if len(part) != count:
            whole = known or f"{count} examples"
            raise ValueError(f"{whole}, but {len(part)} entries of {name}: one each is needed")


def check_present(arrays: Mapping[str, np.ndarray], present: Mapping[str, np.ndarray]) -> None:
    """Refuses a ``present`` that is no truth value per example of an array that there is.

    Args:
        arrays: arrays ``[N, ...]`` by name.
        present: whether each example has that array, bool ``[N]`` by name.

    Raises:
        ValueError: for an unknown name, dtype or shape.
    """
    for name, has in present.items():
        if name not in arrays:
            raise ValueError(
                f"present[{name!r}] belongs to no array; there are {', '.join(arrays)}"
            )
        if has.dtype != bool or has.shape != (len(arrays[name]),):
            raise ValueError(
                f"present[{name!r}] must be bool [{len(arrays[name])}], got {has.dtype} "
                f"{list(has.shape)}"
            )
