"""Volumes as slices: which ones, how they lie, and which are neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.split import LazySplit, Split

AXES = {"axial": 0, "coronal": 1, "sagittal": 2}
VOLUME, SLICE = "volume", "slice"  # facts on each slice: the number of its volume, and its own
NO_SLICE = -1  # the number of a picture that was never part of a volume


@dataclass(frozen=True)
class Slices:
    """Which slices of a volume are taken.

    Attributes:
        axis: one of ``AXES``.
        first: where they begin, as a share of the axis in [0, 1].
        last: where they end, the last one among them.
        spacing: mm from one to the next; 0: every slice.

    Raises:
        ValueError: another axis, or an end before the beginning.
    """

    axis: str = "axial"
    first: float = 0.0
    last: float = 1.0
    spacing: float = 0.0

    def __post_init__(self) -> None:
        if self.axis not in AXES:
            raise ValueError(f"slices.axis={self.axis!r}; known: {', '.join(AXES)}")
        if not 0 <= self.first <= self.last <= 1:
            raise ValueError(
                f"slices from {self.first:g} to {self.last:g}: two shares of the axis in 0..1 are "
                "needed, --config.data.slices.first and, not before it, --config.data.slices.last"
            )

    @classmethod
    def of(cls, config: ConfigDict) -> Slices:
        """What ``data.slices`` says."""
        return cls(config.axis, config.first, config.last, config.spacing)

    def check_across(self, space: Sequence[int], name: str) -> None:
        """Refuses a volume of one slice that lies across these: each would be a line of voxels.

        Args:
            space: size of the volume ``(D, H, W)`` as its file has it.
            name: of the volume, for the error.

        Raises:
            ValueError: it is one slice of another plane; says of which.
        """
        thin = [plane for plane, axis in AXES.items() if space[axis] == 1]
        if len(thin) != 1 or thin == [self.axis]:
            return
        raise ValueError(
            f"{name} is one {thin[0]} slice, which data.slices.axis={self.axis} would cut into "
            f"{space[AXES[self.axis]]} lines of one voxel: data.slices.axis={thin[0]} in training reads "
            f"such slices; leave it out where a model reads {self.axis} ones"
        )

    def numbers(self, space: Sequence[int], spacing: Sequence[float], name: str) -> np.ndarray:
        """The numbers of the slices to take of a volume, rising, each once.

        Args:
            space: size of the volume ``(D, H, W)``.
            spacing: size of its voxels in mm; empty if not known.
            name: of the volume, for the error.

        Raises:
            ValueError: slices some mm apart of a volume whose voxel size is not known, or that is not
                as thick.
        """
        axis = AXES[self.axis]
        start, end = (round(share * (space[axis] - 1)) for share in (self.first, self.last))
        if not self.spacing:
            return np.arange(start, end + 1)
        if not spacing:
            raise ValueError(
                f"{name} does not say how large its voxels are, so that slices {self.spacing:g} mm "
                "apart cannot be chosen: data.slices.spacing=0 in training takes every slice"
            )
        step = max(self.spacing / spacing[axis], 1.0)
        if space[axis] > 1 and step >= space[axis] - 0.5:
            raise ValueError(
                f"{name} has {space[axis]} {self.axis} slices {spacing[axis]:g} mm apart, of which "
                f"data.slices.spacing={self.spacing:g} would leave one: correct the size in its header, "
                "or train with a smaller spacing"
            )
        return np.unique(np.rint(np.arange(start, end + 0.5, step)).astype(int))

    def take(self, volume: np.ndarray, number: int) -> np.ndarray:
        """A slice ``[H, W, C]`` of ``[D, H, W, C]``, as it is looked at.

        Axial slices have the front above, the others the head; the patient's right, and of a sagittal
        slice the front, is on the left.
        """
        slice_ = np.take(volume, number, axis=AXES[self.axis])
        return slice_ if self.axis == "axial" else slice_[::-1]

    def stack(self, images: np.ndarray) -> np.ndarray:
        """The volume ``[D, H, W, C]`` of all its slices ``[N, H, W, C]``; inverts :meth:`take`."""
        upright = images if self.axis == "axial" else images[:, ::-1]
        return np.moveaxis(upright, 0, AXES[self.axis])

    def pixel(self, spacing: Sequence[float]) -> tuple[float, ...]:
        """Size in mm of a slice's pixels along rows and columns; empty if not known."""
        return tuple(mm for axis, mm in enumerate(spacing) if axis != AXES[self.axis])


def neighbours(split: Split | LazySplit, index: int, farthest: int, nearest: int = 1) -> np.ndarray:
    """Positions of the slices of the same volume that are some slices away, either way.

    Args:
        split: a split of slices, with the facts ``volume`` and ``slice``.
        index: position of the slice whose neighbours are wanted.
        farthest: most slices between it and a neighbour, by their numbers in the volume.
        nearest: fewest.

    Returns:
        int ``[M]``, in the order of their numbers.

    Raises:
        ValueError: the examples are no slices.
    """
    facts = split.truth or {}
    if VOLUME not in facts or SLICE not in facts or facts[SLICE][index] == NO_SLICE:
        raise ValueError("these examples are no slices of volumes, and have no neighbours")
    away = np.abs(facts[SLICE] - facts[SLICE][index])
    near = (facts[VOLUME] == facts[VOLUME][index]) & (facts[SLICE] != NO_SLICE)
    found = np.flatnonzero(near & (nearest <= away) & (away <= farthest))
    return found[np.argsort(facts[SLICE][found], kind="stable")]
