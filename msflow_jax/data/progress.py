"""A progress bar for the long walks over files and slices, silent for short ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
LONG = 200


def track(items: Sequence[T], what: str, weight: int = 1) -> Iterator[T]:
    """Yields the items, with a bar on stderr where there are more than 200 steps.

    Args:
        items: What to walk over.
        what: Two or three words before the bar.
        weight: Steps that one item stands for.
    """
    if len(items) * weight <= LONG:
        yield from items
        return
    from rich.console import Console
    from rich.progress import track as bar

    yield from bar(items, description=what, console=Console(stderr=True), transient=True)
