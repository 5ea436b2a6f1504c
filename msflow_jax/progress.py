"""What a run is doing: bars on a terminal, and lines elsewhere, so that nothing is silent for long.

On a terminal a bar is alive by itself. Work without a bar, and all work where stderr is a file, prints a
line once it takes long, and again every four seconds, with the time it took so far.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

T = TypeVar("T")
LONG = 200  # steps from which on a walk has a bar
EVERY = 4.0  # seconds between two lines; with SOON never more than five
SOON = 1.0  # seconds before the first
SELDOM = 30.0  # seconds between two lines of a training whose log_every is longer
_BAR, _TIME = 16, 7  # columns
_outer: ContextVar["_Beat | None"] = ContextVar("_outer", default=None)


class _Beat:
    """Prints what is done every few seconds; silent while another one within it does.

    Args:
        text: what is done, with how far it is.
        shown: whether something else shows it already.
    """

    def __init__(self, text: Callable[[], str], shown: bool = False):
        self._text, self._start, self._over = text, time.monotonic(), threading.Event()
        self.silent, self.printed = shown, False  # whether a line was printed by itself
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "_Beat":
        self._before = _outer.get()
        self._was_silent = self._before is not None and self._before.silent
        if self._before is not None:
            self._before.silent = True
        self._token = _outer.set(self)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        _outer.reset(self._token)
        if self._before is not None:
            self._before.silent = self._was_silent

    def line(self) -> None:
        """Print now."""
        seconds = time.monotonic() - self._start
        took = f"{seconds:.0f} s" if seconds < 120 else _clock(seconds)
        print(f"{self._text()}  {took}", file=sys.stderr, flush=True)

    def _run(self) -> None:
        wait = SOON
        while not self._over.wait(wait):
            wait = EVERY
            if not self.silent:
                self.printed = True
                self.line()


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Around work that has no bar and may take long, such as compiling.

    Args:
        what: what is done, such as ``compiling the training step``.
    """
    with _Beat(lambda: f"{what} ..."):
        yield


def _progress(console: Console, name: str, total: int, text: bool = False) -> Progress:
    """A bar whose count and time left fit at any width; of the rest as much as there is room for.

    Args:
        console: where to draw.
        name: description of its task.
        total: how much there is to do.
        text: whether the task has a field ``text``, which takes the room that is left.
    """
    room = console.width - (2 * len(str(total)) + 2) - (_TIME + 1)

    def fits(width: int) -> bool:
        nonlocal room
        room -= (taken := width * (room >= width))
        return taken > 0

    def cut(width: int) -> Column:
        return Column(max_width=max(width, 1), no_wrap=True, overflow="ellipsis")

    first = cut(min(len(name), max(room - 1, 1)))
    room -= (first.max_width or 0) + 1
    some = fits(13) if text else False  # for the loss, before the ornaments
    columns: list[ProgressColumn] = [TextColumn("{task.description}", table_column=first)]
    columns += [BarColumn(_BAR)] * fits(_BAR + 1) + [MofNCompleteColumn()]
    columns += [TimeElapsedColumn()] * fits(_TIME + 1) + [TimeRemainingColumn()]
    columns = [SpinnerColumn()] * fits(2) + columns
    if text and some:
        columns.append(TextColumn("{task.fields[text]}", table_column=cut(room + 12)))
    return Progress(*columns, console=console)


class TrainingBar:
    """A bar over training steps, or lines; see :func:`training_bar`."""

    def __init__(self, task: Callable[..., None] | None, step: int, steps: int):
        self._task, self._steps, self._start = task, steps, step
        self._clock = self._last = time.monotonic()
        self._seen: dict[str, float] = {}

    def tick(self, step: int, values: Mapping[str, float], due: bool = False) -> None:
        """After a step.

        Args:
            step: steps done.
            values: what is known by now, such as ``loss``.
            due: whether a line is to be printed where there is no terminal.
        """
        self._seen.update(values)
        if self._task is not None:
            self._task(completed=step, text=self._text())
        elif due or time.monotonic() - self._last > SELDOM:
            self._last = time.monotonic()
            done = max(step - self._start, 1)
            left = (self._last - self._clock) / done * (self._steps - step)
            words = f"step {step}/{self._steps}  {self._text()}  {_clock(left)} left"
            print(words, file=sys.stderr, flush=True)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Around work between the steps, such as compiling."""
        if self._task is None:
            start = time.monotonic()
            with doing(what):
                yield
            self._last = time.monotonic()
            self._clock += self._last - start  # no time that the steps to come will take
            return
        self._task(text=what)
        yield
        self._task(text=self._text())

    def _text(self) -> str:
        seen = self._seen
        parts = [f"loss {seen['loss']:.4f}"] if "loss" in seen else []
        if "images_per_second" in seen:
            parts.append(f"{seen['images_per_second']:.0f} images/s")
        found = [f"{k} {v:.3f}" for k, v in seen.items() if k.startswith("val_")]
        return "  ".join(parts + found[:1])


@contextmanager
def training_bar(step: int, steps: int, console: Console | None = None) -> Iterator[TrainingBar]:
    """A bar over training steps with loss, images per second, the last validation and the time left.

    Args:
        step: steps done before.
        steps: last step.
        console: where to draw; None for stderr.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield TrainingBar(None, step, steps)
        return
    with _progress(console, "training", steps, text=True) as progress:
        task = progress.add_task("training", total=steps, completed=step, text="")

        def update(**fields: Any) -> None:
            progress.update(task, **fields)

        yield TrainingBar(update, step, steps)


@contextmanager
def bar(
    description: str, total: int, console: Console | None = None
) -> Iterator[Callable[[int], None]]:
    """A plain bar; call the function it gives with how much was done.

    Args:
        description: two or three words.
        total: how much there is to do.
        console: where to draw; None for stderr.
    """
    console, done = console or Console(stderr=True), 0
    terminal = console.is_terminal
    with _Beat(lambda: f"{description} {done}/{total}", shown=terminal) as beat:
        if terminal:
            with _progress(console, description, total) as progress:
                task = progress.add_task(description, total=total)
                yield lambda more: progress.update(task, advance=more)
            return

        def advance(more: int) -> None:
            nonlocal done
            done += more

        yield advance
        if beat.printed:
            beat.line()


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
    with bar(what, len(items)) as advance:
        for item in items:
            yield item
            advance(1)


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds: ``0:03:20``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
