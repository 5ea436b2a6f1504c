"""What every data source hands over: uint8 images with labels in three splits, and their facts."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.progress import track

TASKS = ("binary-class", "multi-class", "ordinal-regression")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Info:
    """Facts on a data set that a model, a report and a workdir need. Holds only JSON types.

    Attributes:
        name: Source name, such as `breastmnist`, `folder` or `phantoms`.
        classes: Class names; label k means `classes[k]`.
        channels: 1 or 3.
        side: Height and width of the images in pixels.
        task: One of `TASKS`; `ordinal-regression` means that the classes are ordered grades.
        licence: Licence of the data, for reports.
        md5: MD5 of the source file, or of the files or arrays it was made from.
        source: File, folder or package the data came from.
        flips: Train augmentation: `horizontal`, `vertical`, each drawn with probability 1/2.
        map_classes: Names of the per-pixel classes where a split has maps, else empty.
        counts: Training images of each class; empty where not known.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    side: int
    task: str
    licence: str
    md5: str
    source: str
    flips: tuple[str, ...]
    map_classes: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for field in ("classes", "flips", "map_classes", "counts"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if self.task not in TASKS:
            raise ValueError(f"{self.name}: task {self.task!r} is not one of {', '.join(TASKS)}")
        if len(self.classes) < 2:
            raise ValueError(f"{self.name}: {len(self.classes)} class(es), at least 2 are needed")

    def class_weights(self, prior: str) -> tuple[float, ...] | None:
        """Wished over trained frequency of each class, for `SymmetricFlow.classify`.

        Args:
            prior: `natural` (as in the training set: None) or `uniform`.

        Raises:
            ValueError: For another prior, or where a class has no training image.
        """
        if prior == "natural":
            return None
        if prior != "uniform":
            raise ValueError(f"unknown class prior {prior!r}: choose 'natural' or 'uniform'")
        if not self.counts or min(self.counts) < 1:
            raise ValueError(
                f"a uniform prior needs the number of training images of each class, at least 1; "
                f"{self.name} has {list(self.counts)}"
            )
        return tuple(sum(self.counts) / (len(self.counts) * n) for n in self.counts)

    def to_dict(self) -> dict[str, Any]:
        """Returns a dict of JSON types; `from_dict` is its inverse."""
        fields = dataclasses.asdict(self)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in fields.items()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Info:
        """Builds an Info from `to_dict`'s answer, through JSON or not.

        Raises:
            ValueError: For unknown or missing fields, by name.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        needed = known - {"map_classes", "counts"}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"data info has unknown fields: {', '.join(unknown)}")
        if missing := sorted(needed - set(fields)):
            raise ValueError(f"data info lacks the fields: {', '.join(missing)}")
        return cls(**fields)


def own_info(
    classes: Sequence[str], shape: Sequence[int], *, name: str, licence: str, md5: str, source: str
) -> Info:
    """Facts of images `[S, S, C]` of which only the classes are known, not what may be mirrored."""
    return Info(
        name=name,
        classes=tuple(classes),
        channels=shape[-1],
        side=shape[0],
        task="binary-class" if len(classes) == 2 else "multi-class",
        licence=licence,
        md5=md5,
        source=source,
        flips=(),
    )


class OpensLater:
    """Base of readers that open their files when first asked: each process opens its own."""

    def __init__(self) -> None:
        self._open: dict[Any, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What a worker process gets: no open files."""
        return {**self.__dict__, "_open": {}}


@dataclass(frozen=True)
class Split:
    """Images of one split.

    Attributes:
        images: uint8 `[N, S, S, C]`.
        labels: int32 `[N]`.
        names: A file name or index for each image, for tables.
        maps: uint8 `[N, S, S]` per-pixel classes (`Info.map_classes`), or None.
        truth: Known facts per image, each `[N]` (phantoms only), or None.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    maps: np.ndarray | None = None
    truth: dict[str, np.ndarray] | None = None

    def __post_init__(self) -> None:
        shape = self.images.shape
        if self.images.dtype != np.uint8 or len(shape) != 4 or shape[1] != shape[2]:
            raise ValueError(f"images must be uint8 [N, S, S, C], got {self.images.dtype} {shape}")
        if self.labels.dtype != np.int32 or self.labels.ndim != 1:
            raise ValueError(f"labels must be int32 [N], got {self.labels.dtype}")
        parts = [len(self.labels), len(self.names), *(len(v) for v in (self.truth or {}).values())]
        if any(n != shape[0] for n in parts):
            raise ValueError(f"{shape[0]} images beside labels, names and truth of lengths {parts}")
        if self.maps is not None and (self.maps.shape != shape[:3] or self.maps.dtype != np.uint8):
            raise ValueError(f"maps must be uint8 {shape[:3]}, got {self.maps.shape}")

    def __len__(self) -> int:
        return self.images.shape[0]

    @property
    def side(self) -> int:
        """Rows and columns of the images."""
        return self.images.shape[1]

    def read(self, index: int) -> np.ndarray:
        """Returns image `index`, uint8 `[S, S, C]`."""
        return self.images[index]

    def take(self, index: np.ndarray) -> Split:
        """Returns the images at the positions `index` `[M]`, with all that goes with them."""
        return Split(
            images=self.images[index],
            labels=self.labels[index],
            names=tuple(self.names[i] for i in index),
            maps=None if self.maps is None else self.maps[index],
            truth=None if self.truth is None else {k: v[index] for k, v in self.truth.items()},
        )


@dataclass(frozen=True)
class LazySplit:
    """Images of one split that are read when asked for; worker processes get a copy of this.

    Attributes:
        read: Returns image i, uint8 `[S, S, C]`; can be pickled.
        labels: int32 `[N]`.
        names: A file name or index for each image.
        side: Rows and columns of the images.
    """

    read: Callable[[int], np.ndarray]
    labels: np.ndarray
    names: Sequence[str]
    side: int
    maps: None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> Split:
        """Reads the images at the positions `index` `[M]` into memory."""
        images = [self.read(i) for i in track(index.tolist(), "Reading images")]
        return Split(np.stack(images), self.labels[index], tuple(self.names[i] for i in index))


def in_memory(split: Split | LazySplit, most: int = 0, seed: int = 0) -> Split:
    """Returns the images of a split in memory: all, or of a lazy one at most `most`, drawn at random."""
    return split if isinstance(split, Split) else some(split, most or len(split), seed)


def some(split: Split | LazySplit, most: int, seed: int = 0) -> Split:
    """Returns at most `most` images of a split, drawn at random, in their order."""
    return split.take(np.sort(np.random.default_rng(seed).permutation(len(split))[:most]))


@dataclass(frozen=True)
class Splits:
    """The three splits and their common facts; `splits["test"]` is `splits.test`.

    `train` is a `LazySplit` where `data.loader` is `grain`.
    """

    train: Split | LazySplit
    val: Split
    test: Split
    info: Info

    def __getitem__(self, name: str) -> Split | LazySplit:
        if name not in SPLITS:
            raise ValueError(f"unknown split {name!r}; known: {', '.join(SPLITS)}")
        return getattr(self, name)


def convert_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Brings uint8 images `[N, S, S, C]` to `channels`: grey repeated, or ITU-R 601 luma of RGB.

    `channels` 0 leaves them as they are.

    Raises:
        ValueError: Where `channels` is not 0, 1 or 3.
    """
    if channels not in (0, 1, 3):
        raise ValueError(f"channels={channels}: only 1 (grey), 3 (RGB) and 0 (as stored)")
    if channels in (0, images.shape[-1]):
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    luma = images.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.rint(luma).astype(np.uint8)[..., None]


def digest(*parts: bytes | memoryview) -> str:
    """Returns the MD5 of the parts, one after the other, as 32 hex digits."""
    md5 = hashlib.md5(usedforsecurity=False)
    for part in parts:
        md5.update(part)
    return md5.hexdigest()
