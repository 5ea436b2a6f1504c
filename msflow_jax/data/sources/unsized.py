"""Voxels of volumes given to a trained model: of a size not known, or another, never without a word."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from msflow_jax.data.base import Info
from msflow_jax.data.sources.shaping import lies_there, same_size
from msflow_jax.data.sources.volumes.fitting import place
from msflow_jax.data.sources.volumes.orientation import size_text


def taken_for(space: Sequence[int], spacing: Sequence[float], info: Info) -> str:
    """What a volume without a voxel size is taken for; empty where there is one, or none matters.

    Args:
        space: its voxels along each axis.
        spacing: their size in mm; empty if not known.
        info: facts of the training data.
    """
    scaled, resized = bool(info.volumes.get("scaled")), tuple(space) != info.sides
    if spacing or len(space) != 3 or not (scaled or info.spacing):
        return ""
    if scaled or (resized and not info.volumes.get("spacing")):
        return "" if info.fit == "stretch" else "cubes"  # each axis is scaled by its own factor
    return (
        f"voxels of {size_text(info.spacing)} mm, as those trained on have" if info.spacing else ""
    )


def spacing_on_grid(
    space: Sequence[int], spacing: Sequence[float], info: Info
) -> tuple[float, ...]:
    """Size in mm of a volume's voxels once it lies on a model's grid; of pictures that of training.

    Args:
        space: its voxels along each axis, before.
        spacing: their size in mm; empty if not known.
        info: facts of the training data.

    Returns:
        A size for each axis; empty if not known.
    """
    if len(space) != 3 or info.volumes.get("spacing"):  # which brought them to one size before
        return tuple(info.spacing)
    if lies_there(space, spacing, info):
        return tuple(spacing or info.spacing)
    return place(space, info.sides, info.fit, spacing).spacing if spacing else ()


class Unsized:
    """Counts the volumes whose voxels are taken for something, or for ones of another size.

    Args:
        info: facts of the training data.
    """

    def __init__(self, info: Info):
        self._info = info
        self._found: dict[str, list[str]] = {}
        self._others: dict[str, tuple[float, ...]] = {}
        self._count = 0

    def look(self, space: Sequence[int], spacing: Sequence[float], name: str, array: bool) -> None:
        """Takes an image.

        Args:
            space: its size along each axis.
            spacing: size of its voxels in mm; empty if not known.
            name: its file, for the line.
            array: whether it is one of an archive, which of a model's own size is what a model reads.
        """
        self._count += 1
        size = spacing_on_grid(space, spacing, self._info)
        if size and self._info.spacing and not same_size(size, self._info.spacing):
            self._others[name] = size
        if array and tuple(space) == self._info.sides:
            return
        if what := taken_for(space, spacing, self._info):
            self._found.setdefault(what, []).append(name)

    def warn(self) -> None:
        """A line for each thing that some were taken for, and one on those of another size."""
        for name, size in list(self._others.items())[:1]:
            warnings.warn(
                f"{len(self._others)} of {self._count} volumes have voxels of another size on the "
                f"model's grid than those trained on: {name} of {size_text(size)} mm, those of "
                f"{size_text(self._info.spacing)} mm; what it shows has another size there",
                stacklevel=4,
            )
        wrong = "if they are not, what it shows is squashed or of another size"
        # Not known of volumes that show more or less than others, or that said none.
        if not self._info.spacing:
            wrong = "unless those trained on do not say it either, what it shows may be squashed"
        for what, names in self._found.items():
            more = f" (and {len(names) - 1} more alike)" if len(names) > 1 else ""
            warnings.warn(
                f"{names[0]} does not say how large its voxels are: taken for {what}{more}; {wrong}: "
                "write the size into its file",
                stacklevel=4,
            )
