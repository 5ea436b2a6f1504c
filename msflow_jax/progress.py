"""Progress bars for long work."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import track as _track

T = TypeVar("T")
LONG = 200  # steps from which on a walk has a bar


def _progress(*extra: TextColumn) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(20),
        MofNCompleteColumn(),
        *extra,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


@contextmanager
def training_bar(step: int, steps: int) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """A bar over training steps with loss, images per second, the last validation and the time left."""
    seen: dict[str, float] = {}

    def text() -> str:
        parts = [f"loss {seen['loss']:.4f}"] if "loss" in seen else []
        if "images_per_second" in seen:
            parts.append(f"{seen['images_per_second']:.0f} images/s")
        found = [f"{k} {v:.3f}" for k, v in seen.items() if k.startswith("val_")]
        return "  ".join(parts + found[:1])

    with _progress(TextColumn("{task.fields[text]}")) as progress:
        task = progress.add_task("training", total=steps, completed=step, text="compiling")

        def tick(step: int, values: Mapping[str, float]) -> None:
            seen.update(values)
            progress.update(task, completed=step, text=text())

        yield tick


@contextmanager
def bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """A plain bar; call the function it gives with how much was done."""
    with _progress() as progress:
        task = progress.add_task(description, total=total)
        yield lambda done: progress.update(task, advance=done)


def track(items: Sequence[T], what: str, weight: int = 1) -> Iterator[T]:
    """Yields the items, with a bar on stderr where there are more than 200 steps.

    Args:
        items: what to walk over.
        what: two or three words before the bar.
        weight: steps that one item stands for.
    """
    if len(items) * weight <= LONG:
        yield from items
        return
    yield from _track(items, description=what, console=Console(stderr=True), transient=True)
