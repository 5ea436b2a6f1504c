"""Pictures that are so small that most of what a model sees of them is made up between their pixels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from msflow_jax.data.sources.volumes.orientation import size_text

MOST = 4.0  # times that a picture may be enlarged without a line


class Enlargement(NamedTuple):
    """How many times a picture is enlarged, along the axis that is most."""

    times: float
    space: tuple[float, ...]
    name: str


class Enlarged:
    """Counts the pictures of a data set that are enlarged more than ``MOST`` times.

    Args:
        side: rows and columns that pictures are brought to; 0: they stay as they are.
        fit: how, see ``fitting.to_square``.

    Attributes:
        most: the one that is enlarged most.
    """

    def __init__(self, side: int, fit: str):
        self._side, self._fit = side, fit
        self._spaces: set[tuple[float, ...]] = set()
        self._count = self._many = 0
        self.most = Enlargement(0.0, (), "")

    def look(self, space: Sequence[float], name: str) -> None:
        """Takes a picture by its rows and columns; volumes are passed over."""
        if not self._side or len(space) != 2:
            return
        one = Enlargement(
            self._side / (max(space) if self._fit == "pad" else min(space)), tuple(space), name
        )
        self._spaces.add(one.space)
        self._count += 1
        self._many += one.times > MOST
        self.most = max(self.most, one, key=lambda each: each.times)

    def warn(self, source: Path | str = "") -> bool:
        """A line where some are; none where all are, or all have one size: that is on purpose.

        Returns:
            Whether there was one.
        """
        if len(self._spaces) < 2 or not 0 < self._many < self._count:
            return False
        warnings.warn(
            f"{f'{source}: ' if source else ''}{self._many} of {self._count} pictures are enlarged more "
            f"than {MOST:g} times: {self.most.name} is {size_text(self.most.space)}, brought to "
            f"{self._side} x {self._side} ({self.most.times:.3g} times); are these thumbnails? Give the "
            "originals, or leave them out",
            stacklevel=4,
        )
        return True
