"""Grey pictures and volumes to the one shape of a data set, or of a model."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import Info
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.enlarging import MOST, Enlarged
from msflow_jax.data.sources.fitting import (
    convert_channels,
    fit_to_first,
    fit_to_model,
    square_pixels,
)
from msflow_jax.data.sources.volumes.fitting import bring_volume, place
from msflow_jax.data.sources.volumes.orientation import size_text
from msflow_jax.storage.content import Note

CLOSE = 0.01  # share by which sizes of voxels may differ and still be one


@dataclass(frozen=True)
class Shaping:
    """How the examples of a data set come to one shape.

    Attributes:
        side: size along every axis of space, or 0: that of the first.
        channels: 1, 3, or 0: that of the first.
        fit: what happens to what has another shape than a square, or a cube.
        scaled: whether a volume is scaled to ``side``, or, its voxels having been brought to a size in
            mm, cut and padded.
    """

    side: int = 0
    channels: int = 0
    fit: str = "pad"
    scaled: bool = True

    @classmethod
    def of(cls, config: ConfigDict) -> Shaping:
        """What the data config says."""
        return cls(config.side, config.channels, config.fit, not config.spacing)

    def __call__(
        self, grey: np.ndarray, spacing: Sequence[float], name: str, first: tuple[int, ...] | None
    ) -> np.ndarray:
        """Brings an image to the shape of the others.

        Args:
            grey: uint8 ``[*space, C]``.
            spacing: size of its voxels or pixels in mm, empty if not known.
            name: of its file, for errors.
            first: shape of the first, None if this is it.

        Raises:
            ValueError: another shape than the first's, where none is asked for.
        """
        if grey.ndim == 3:
            grey = square_pixels(grey, spacing)
            return fit_to_first(grey, name, first, self.side, self.channels, self.fit)
        if not self.channels and first is not None and grey.shape[-1] != first[-1]:
            raise ValueError(
                f"{name} has {grey.shape[-1]} channel(s), the volumes before it {first[-1]}; "
                "--config.data.channels=1 makes all grey"
            )
        grey = convert_channels(grey, self.channels)
        if self.side:
            return self.to_grid(grey, (self.side,) * 3, spacing)
        if first is not None and grey.shape[:-1] != tuple(first[:-1]):
            raise ValueError(
                f"{name} has {size_text(grey.shape[:-1])} voxels, those before it "
                f"{size_text(first[:-1])}: "
                "--config.data.side=64 brings all to one grid, --config.data.spacing=1.5 to voxels of "
                "one size in mm before"
            )
        return grey

    def to_grid(
        self, grey: np.ndarray, space: Sequence[int], spacing: Sequence[float]
    ) -> np.ndarray:
        """A volume uint8 ``[D, H, W, C]`` on a grid, ``[*space, C]``."""
        if self.scaled:
            return bring_volume(grey, space, self.fit, spacing=spacing)
        return centred(grey, space)

    def spacing(self, space: Sequence[int], spacing: Sequence[float]) -> tuple[float, ...]:
        """Size in mm of the voxels that a volume of this size has on its grid; empty if not known."""
        if not spacing or not self.side or not self.scaled:
            return tuple(spacing)
        return place(space, (self.side,) * 3, self.fit, spacing).spacing


def shape_to_model(
    grey: np.ndarray, spacing: Sequence[float], name: str, info: Info, change: bool
) -> np.ndarray:
    """Brings an image to the shape that a model reads, or refuses it by name.

    Raises:
        ValueError: it has another shape, or voxels of another size, and ``change`` is False; or it is a
            picture and the model reads volumes, or the other way round.
    """
    if grey.ndim - 1 != info.dims:
        what = {2: "pictures", 3: "volumes"}
        raise ValueError(f"{name}: the model reads {what[info.dims]}, this is none")
    if grey.ndim == 3:
        return fit_to_model(square_pixels(grey, spacing), name, info, change)
    if grey.shape[-1] != info.channels and not change:
        raise ValueError(
            f"{name} has {grey.shape[-1]} channel(s), the model reads {info.channels}; --resize "
            "converts it as well"
        )
    grey = convert_channels(grey, info.channels)
    if not lies_there(grey.shape[:-1], spacing, info):
        if not change:
            told = f"{size_text(grey.shape[:-1])} voxels, the model reads {size_text(info.sides)}"
            if grey.shape[:-1] == info.sides:
                told = f"voxels of {size_text(spacing)} mm, those trained on are cubes"
            raise ValueError(
                f"{name} has {told}; --resize brings it there, as training volumes were"
            )
        shaping = Shaping(fit=info.fit, scaled=not info.volumes.get("spacing"))
        return shaping.to_grid(grey, info.sides, spacing)
    if not change and spacing and info.spacing and not same_size(spacing, info.spacing):
        raise ValueError(
            f"{name} has voxels of {size_text(spacing)} mm, those trained on {size_text(info.spacing)} "
            "mm: what "
            "it shows has another size; --resize takes it all the same"
        )
    return grey


def lies_there(space: Sequence[int], spacing: Sequence[float], info: Info) -> bool:
    """Whether a volume has a model's grid as it is: as many voxels, and cubes where they became some."""
    if tuple(space) != info.sides or not info.volumes.get("scaled"):
        return tuple(space) == info.sides
    placing = place(space, info.sides, info.fit, spacing)
    return all(placing.keeps(axis, size) for axis, size in enumerate(space))


def tell_changed(shapes: Mapping[str, tuple[int, ...]], info: Info) -> None:
    """A line on those images, by their names, that are brought to the shape that a model reads."""
    changed = [name for name, shape in shapes.items() if shape != info.shape]
    if not changed:
        return
    small = Enlarged(info.side, info.fit)
    for name, shape in shapes.items():
        small.look(shape[:-1], name)
    first = f"{changed[0]} is {size_text(shapes[changed[0]])}"
    if not small.warn() and small.most.times > MOST:
        name = small.most.name
        first = f"{name} is {size_text(shapes[name])}, enlarged {small.most.times:.3g} times"
    warnings.warn(
        f"{len(changed)} of {len(shapes)} images are brought to {size_text(info.shape)} by "
        f"data.fit={info.fit}: {first} (--no-resize refuses them)",
        Note,
        stacklevel=5,
    )


def centred(grey: np.ndarray, space: Sequence[int]) -> np.ndarray:
    """Cuts and pads ``[*old, C]`` with 0 to ``[*space, C]``; the middle stays the middle."""
    out = np.zeros((*space, grey.shape[-1]), grey.dtype)
    takes, puts = [], []
    for old, new in zip(grey.shape[:-1], space, strict=True):
        size = min(old, new)
        takes.append(slice((old - size) // 2, (old - size) // 2 + size))
        puts.append(slice((new - size) // 2, (new - size) // 2 + size))
    out[tuple(puts)] = grey[tuple(takes)]
    return out


class Grids:
    """The voxel sizes of a data set's volumes on their grid.

    Args:
        shaping: how they come to it.
    """

    def __init__(self, shaping: Shaping):
        self._shaping = shaping
        self._found: dict[tuple[float, ...], str] = {}
        self._counts: Counter[tuple[float, ...]] = Counter()

    def look(self, picture: Picture, name: str) -> None:
        """Takes the size of a volume's voxels."""
        if picture.dims == 3:
            self._take(self._shaping.spacing(picture.space, picture.spacing), name)

    def _take(self, spacing: tuple[float, ...], name: str, count: int = 1) -> None:
        self._found.setdefault(spacing, name)
        self._counts[spacing] += count

    def seen(self) -> list[list[Any]]:
        """All sizes, each with the name of a volume that has it and their number; for :meth:`join`."""
        return [[list(spacing), n, self._counts[spacing]] for spacing, n in self._found.items()]

    def join(self, seen: Iterable[Sequence[Any]]) -> None:
        """Takes what another process has seen, or a call of before, which did not count."""
        for spacing, name, *count in seen:
            self._take(tuple(spacing), name, *count)

    def common(self) -> tuple[float, ...]:
        """The size of all; empty where it is not one, or not known.

        Warns where several are stored, and where some are known and some are not.
        """
        self.warn_of_unsized()
        known = {spacing: name for spacing, name in self._found.items() if spacing}
        if not known:
            return ()
        first = next(iter(known))
        for other, name in known.items():
            if not same_size(first, other):
                if not self._shaping.side:
                    warnings.warn(
                        f"{name} has voxels of {size_text(other)} mm, {known[first]} of "
                        f"{size_text(first)} mm: what they show has another size in each; "
                        "--config.data.spacing=1.5 brings all to one",
                        stacklevel=3,
                    )
                return ()
        return () if () in self._found else first

    def warn_of_unsized(self) -> None:
        """A line where some volumes say how large their voxels are and some do not."""
        count, whole = self._counts[()], self._counts.total()
        if not 0 < count < whole:
            return
        cubes = self._shaping.side and self._shaping.fit != "stretch"
        taken = "taken for cubes, so that what they show may be squashed"
        warnings.warn(
            f"{count} of {whole} volumes do not say how large their voxels are, and the others do: "
            f"{self._found[()]} for one; they are "
            f"{taken if cubes else 'taken as they are, so that what they show may have another size'}: "
            "write the size into their files, or leave them out",
            stacklevel=4,
        )


def same_size(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether two sizes of voxels are one, but for ``CLOSE``."""
    return len(a) == len(b) and bool(np.allclose(a, b, rtol=CLOSE, atol=0))
