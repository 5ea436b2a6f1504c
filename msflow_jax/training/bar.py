"""What a person sees of a training: a bar on a terminal, and lines elsewhere."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from msflow_jax.progress import Beat, clock, doing, drawn


class TrainingBar:
    """A bar over training steps, or lines; see :func:`training_bar`."""

    def __init__(self, task: Callable[..., None] | None, step: int, steps: int):
        self._task, self._steps, self._start = task, steps, step
        self._clock = self._at = time.monotonic()
        self._seen: dict[str, float] = {}
        self._done, self.now = step, lambda: None  # prints a line where there is no terminal

    def tick(self, step: int, values: Mapping[str, float], due: bool = False) -> None:
        """After a step.

        Args:
            step: steps done.
            values: what is known by now, such as ``loss``.
            due: whether a line is to be printed where there is no terminal.
        """
        self._seen = {**self._seen, **values}  # which another thread may be reading
        self._done, self._at = step, time.monotonic()
        if self._task is not None:
            self._task(completed=step, text=self._text())
        elif due:
            self.now()

    def line(self) -> str:
        """How far it is, the last values, and the time left as of the last step."""
        words, done = f"step {self._done}/{self._steps}", self._done - self._start
        if not done:
            return words
        left = (self._at - self._clock) / done * (self._steps - self._done)
        return f"{words}  {self._text()}  {clock(left)} left"

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Around work between the steps, such as compiling."""
        if self._task is None:
            start = time.monotonic()
            with doing(what):
                yield
            # no time that the steps to come will take
            self._clock += (took := time.monotonic() - start)
            self._at += took
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
        shown = TrainingBar(None, step, steps)
        with Beat(shown.line, timed=False) as beat:
            shown.now = beat.line
            yield shown
        return
    with drawn(console, "training", steps, text=True) as progress:
        task = progress.add_task("training", total=steps, completed=step, text="")

        def update(**fields: Any) -> None:
            progress.update(task, **fields)

        yield TrainingBar(update, step, steps)
