"""What every data source hands over: examples in three splits, and the facts on them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msflow_jax.data.info import FITS, PRIORS, TASKS, Info, class_name
from msflow_jax.data.intensity import FULL, Intensity
from msflow_jax.data.modality import Batch, Modality
from msflow_jax.data.split import LazySplit, OpensLater, Split, in_memory, some, some_rows

__all__ = [
    "FITS",
    "PRIORS",
    "SPLITS",
    "TASKS",
    "Batch",
    "Info",
    "LazySplit",
    "Modality",
    "OpensLater",
    "Split",
    "Splits",
    "class_name",
    "digest",
    "in_memory",
    "own_info",
    "some",
    "some_rows",
]

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Splits:
    """The three splits and their common facts; ``splits["test"]`` is ``splits.test``.

    ``train`` is a ``LazySplit`` where ``data.loader`` is ``grain``. ``contents`` has the MD5 of each
    example's content by split, where a source knows them without reading its examples. ``pixels`` has
    that of what a model sees of it, once ``data.load`` has made it.
    """

    train: Split | LazySplit
    val: Split
    test: Split
    info: Info
    contents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pixels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Split | LazySplit:
        if name not in SPLITS:
            raise ValueError(f"unknown split {name!r}; known: {', '.join(SPLITS)}")
        return getattr(self, name)


def digest(*parts: bytes | memoryview) -> str:
    """Returns the MD5 of the parts, one after the other, as 32 hex digits."""
    md5 = hashlib.md5(usedforsecurity=False)
    for part in parts:
        md5.update(part)
    return md5.hexdigest()


def own_info(
    classes: Sequence[str],
    shape: Sequence[int],
    *,
    name: str,
    licence: str,
    md5: str,
    source: str,
    intensity: Intensity = FULL,
    fit: str = "crop",
    spacing: Sequence[float] = (),
) -> Info:
    """Facts of images of which only the classes are known, not what may be mirrored.

    Args:
        classes: class names.
        shape: shape of an image, ``[S, S, C]``, of volumes ``[D, H, W, C]``.
        name: name of the source.
        licence: licence of the data.
        md5: MD5 of what they were made from.
        source: where they came from.
        intensity: how their values became grey levels.
        fit: see :class:`Info`.
        spacing: see :class:`Info`.
    """
    ranged = intensity.kind == "range"
    return Info(
        name=name,
        classes=tuple(classes),
        channels=shape[-1],
        side=shape[-2],
        space=() if len(shape) == 3 else tuple(shape[:-1]),
        task="binary-class" if len(classes) == 2 else "multi-class",
        licence=licence,
        md5=md5,
        source=source,
        flips=(),
        value_range=(intensity.low, intensity.high) if ranged else (),
        intensities={"image": intensity} if intensity.clips else {},
        fit=fit,
        spacing=tuple(spacing),
    )
