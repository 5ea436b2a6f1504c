"""What a run is doing: bars on a terminal, and lines elsewhere, so that nothing is silent for long.

On a terminal a bar is alive by itself. Work without a bar, and all work where stderr is a file, prints a
line once it takes long, and again every four seconds, with the time it took so far. What goes on for
hours says so less and less often, down to once a minute: a night's log is not to be thousands of lines.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

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
SELDOM, SHARE = 60.0, 0.02  # seconds between two lines at most, and as a share of the time so far
_BAR, _TIME = 16, 7  # columns
_outer: ContextVar["Beat | None"] = ContextVar("_outer", default=None)


class Beat:
    """Prints what is done every few seconds; silent while another one within it does.

    Args:
        text: what is done, with how far it is.
        shown: whether something else shows it already.
        timed: whether a line ends with the time that it took so far.
    """

    def __init__(self, text: Callable[[], str], shown: bool = False, timed: bool = True):
        self._text, self._start, self._over = text, time.monotonic(), threading.Event()
        self._last, self._timed = self._start + SOON - EVERY, timed  # of the last line
        self.silent, self.printed = shown, False  # whether a line was printed by itself
        self.note = ""  # what of it goes on just now
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Beat":
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
        self._last = time.monotonic()
        seconds = self._last - self._start
        took = f"  {seconds:.0f} s" if seconds < 120 else f"  {clock(seconds)}"
        note = f" ({self.note})" if self.note else ""
        print(f"{self._text()}{note}{took * self._timed}", file=sys.stderr, flush=True)

    def _next(self) -> float:
        return self._last + max(EVERY, min(SELDOM, SHARE * (self._last - self._start)))

    def _run(self) -> None:
        while not self._over.wait(max(self._next() - time.monotonic(), 0)):
            if time.monotonic() < self._next():  # another line came in between
                continue
            if self.silent:
                self._last = time.monotonic()
            else:
                self.printed = True
                self.line()


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Around work that has no bar and may take long, such as compiling.

    Args:
        what: what is done, such as ``compiling the training step``.
    """
    with Beat(lambda: f"{what} ..."):
        yield


@contextmanager
def noted(what: str) -> Iterator[None]:
    """Within it the line on what is done says this too, such as ``compiling``; no line of its own."""
    beat = _outer.get()
    if beat is None:
        yield
        return
    beat.note = what
    try:
        yield
    finally:
        beat.note = ""


def drawn(console: Console, name: str, total: int, text: bool = False) -> Progress:
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
    with Beat(lambda: f"{description} {done}/{total}", shown=terminal) as beat:
        if terminal:
            with drawn(console, description, total) as progress:
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


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: ``0:03:20``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
