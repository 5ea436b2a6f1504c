"""The examples of one split: in memory, or read when needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from msflow_jax.data.modality import Modality, check_lengths, check_present, describe
from msflow_jax.progress import track


class OpensLater:
    """Base of readers that open their files when first used: each process opens its own."""

    def __init__(self) -> None:
        self._open: dict[Any, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What a worker process gets: no open files."""
        return {**self.__dict__, "_open": {}}


@dataclass(frozen=True)
class Split:
    """The examples of one split, in memory.

    ``Split.of_images`` makes the usual one, of an image and a class each.

    Attributes:
        arrays: arrays ``[N, ...]`` by the name of their modality.
        names: a file name or index of each example, for tables.
        groups: the subject of each example (a patient, a head), or None where it is not known. It stays
            in memory: nothing writes it anywhere.
        truth: known facts of each example by name, each ``[N]``, or None: what a phantom was made of, or
            the further columns of a table. ``evaluate --by=NAME`` splits the scores by them.
        kinds: the kind of each array; those called ``image``, ``label`` or ``map`` need none.
        present: whether each example has an array that it may lack, bool ``[N]`` by name.
    """

    arrays: Mapping[str, np.ndarray]
    names: tuple[str, ...]
    groups: tuple[str, ...] | None = None
    truth: Mapping[str, np.ndarray] | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    present: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.arrays:
            raise ValueError("a split needs at least one array")
        describe(self.arrays, self.kinds)
        parts = {**self.arrays, "names": self.names, **(self.truth or {})}
        check_lengths(len(self), parts if self.groups is None else {**parts, "groups": self.groups})
        check_present(self.arrays, self.present)

    @classmethod
    def of_images(
        cls,
        images: np.ndarray,
        labels: np.ndarray,
        names: tuple[str, ...],
        maps: np.ndarray | None = None,
        truth: Mapping[str, np.ndarray] | None = None,
        groups: tuple[str, ...] | None = None,
    ) -> Split:
        """A split of square images, or of volumes, each of one class.

        Args:
            images: images, uint8 ``[N, S, S, C]``, or volumes ``[N, D, H, W, C]``.
            labels: class of each image, int32 ``[N]``.
            names: a file name or index of each image.
            maps: class of each pixel (``Info.map_classes``), uint8 ``[N, *space]``, or None.
            truth: known facts of each image, or None.
            groups: subject of each image, or None.

        Raises:
            ValueError: for other dtypes, or parts that do not fit each other.
        """
        shape = images.shape
        square = len(shape) == 4 and shape[1] == shape[2]
        if images.dtype != np.uint8 or not (square or len(shape) == 5):
            raise ValueError(
                f"images must be uint8 [N, S, S, C], volumes [N, D, H, W, C], got {images.dtype} {shape}"
            )
        if maps is not None and maps.shape != shape[:-1]:
            raise ValueError(f"maps must be uint8 {shape[:-1]}, got {maps.shape}")
        arrays = {"image": images, "label": labels}
        return cls(arrays if maps is None else {**arrays, "map": maps}, names, groups, truth)

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    @property
    def modalities(self) -> dict[str, Modality]:
        """What each array is."""
        return describe(self.arrays, self.kinds)

    @property
    def images(self) -> np.ndarray:
        """The images, uint8 ``[N, *space, C]``."""
        return self._array("image")

    @property
    def labels(self) -> np.ndarray:
        """The class of each image, int32 ``[N]``."""
        return self._array("label")

    @property
    def maps(self) -> np.ndarray | None:
        """The class of each pixel, uint8 ``[N, *space]``, or None."""
        return self.arrays.get("map")

    @property
    def side(self) -> int:
        """Size along the last axis of space: rows and columns of square images."""
        return self.images.shape[-2]

    def read(self, index: int) -> np.ndarray:
        """Returns image ``index``, uint8 ``[*space, C]``."""
        return self.images[index]

    def rows(self, name: str, index: np.ndarray) -> np.ndarray:
        """Returns the array of this name at the positions ``index`` ``[M]``, ``[M, ...]``."""
        return self._array(name)[index]

    def take(self, index: np.ndarray) -> Split:
        """Returns the examples at the positions ``index`` ``[M]``, with all that goes with them."""
        return Split(
            arrays={name: array[index] for name, array in self.arrays.items()},
            names=tuple(self.names[i] for i in index),
            groups=None if self.groups is None else tuple(self.groups[i] for i in index),
            truth=None if self.truth is None else {k: v[index] for k, v in self.truth.items()},
            kinds=self.kinds,
            present={name: has[index] for name, has in self.present.items()},
        )

    def _array(self, name: str) -> np.ndarray:
        if name not in self.arrays:
            raise ValueError(
                f"this split has no {name!r}; it has {', '.join(self.arrays)}{hint(name)}"
            )
        return self.arrays[name]


@dataclass(frozen=True)
class LazySplit:
    """Images of one split that are read when needed; worker processes get a copy of this.

    Attributes:
        read: returns image i, uint8 ``[*space, C]``; can be pickled.
        labels: class of each image, int32 ``[N]``.
        names: a file name or index of each image.
        shape: shape of an image, ``(*space, C)``: ``(S, S, C)``, of volumes ``(D, H, W, C)``.
        groups: subject of each example, as in :class:`Split`.
        truth: known facts of each example, as in :class:`Split`.
    """

    read: Callable[[int], np.ndarray]
    labels: np.ndarray
    names: Sequence[str]
    shape: tuple[int, ...]
    groups: tuple[str, ...] | None = None
    truth: Mapping[str, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def maps(self) -> None:
        """None: maps are kept in memory only."""

    @property
    def present(self) -> Mapping[str, np.ndarray]:
        """Empty: no image is missing."""
        return {}

    @property
    def modalities(self) -> dict[str, Modality]:
        """What is read of each example."""
        return {"image": Modality("image", self.shape), "label": Modality("label", ())}

    @property
    def side(self) -> int:
        """Size along the last axis of space: rows and columns of square images."""
        return self.shape[-2]

    def rows(self, name: str, index: np.ndarray) -> np.ndarray:
        """Reads ``image``, or returns ``label``, at the positions ``index`` ``[M]``."""
        if name == "label":
            return self.labels[index]
        if name != "image":
            raise ValueError(
                f"a split that is read from files has no {name!r}; it has image, label"
            )
        return np.stack([self.read(int(i)) for i in index])

    def take(self, index: np.ndarray) -> Split:
        """Reads the images at the positions ``index`` ``[M]`` into memory."""
        images = [self.read(i) for i in track(index.tolist(), "Reading images")]
        names = tuple(self.names[i] for i in index)
        groups = None if self.groups is None else tuple(self.groups[i] for i in index)
        truth = None if self.truth is None else {k: v[index] for k, v in self.truth.items()}
        return Split.of_images(
            np.stack(images), self.labels[index], names, truth=truth, groups=groups
        )


def hint(name: str) -> str:
    """What to do where a split has no such array, to end a sentence with."""
    choose = ": a model of one image needs --config.data.modality=NAME"
    return choose if name == "image" else ""


def in_memory(split: Split | LazySplit, limit: int = 0, seed: int = 0) -> Split:
    """Returns a split in memory.

    Args:
        split: split to take examples of.
        limit: images to read of a lazy one, drawn at random; 0 for all.
        seed: seed of the draw.
    """
    return split if isinstance(split, Split) else some(split, limit or len(split), seed)


def some_rows(count: int, limit: int, seed: int = 0) -> np.ndarray:
    """At most ``limit`` of so many row numbers, drawn at random by ``seed``, in their order."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:limit])


def some(split: Split | LazySplit, limit: int, seed: int = 0) -> Split:
    """Returns at most ``limit`` examples of a split, drawn at random by ``seed``, in their order."""
    return split.take(some_rows(len(split), limit, seed))
