"""What a person sees of a run: speed, memory, metrics, a bar, and a trace if configured."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from msflow_jax.storage.digests import at_hand
from msflow_jax.training.bar import TrainingBar, training_bar
from msflow_jax.training.records import Records
from msflow_jax.training.step import TrainState


@contextmanager
def monitor(
    workdir: Path, config: ConfigDict, step: int, steps: int, progress: bool
) -> Iterator["Monitor"]:
    """Open the records of a run; only the first of several processes writes.

    Args:
        workdir: folder of the records.
        config: the ``train`` part of a configuration.
        step: step that the run goes on from.
        steps: last step of the run.
        progress: whether to draw a progress bar.
    """
    first = jax.process_index() == 0
    writers = config.writers
    with (
        Records(workdir, resume_step=step, writers=writers) if first else nullcontext() as records,
        _bar(progress and first, step, steps) as shown,
    ):
        out = Monitor(config, records, shown, workdir / "profile", step, steps)
        yield out
        out.close()


class Monitor:
    """Told after every dispatch and every validation; see :func:`monitor`."""

    def __init__(
        self,
        config: ConfigDict,
        records: Records | None,
        shown: TrainingBar | None,
        profile: Path,
        step: int,
        steps: int,
    ):
        self._config, self._records, self._shown, self._steps = config, records, shown, steps
        self._profile, self._tracing = profile, False
        self._window = range(step + 5, step + 8) if config.profile else range(0)
        self._clock = time.perf_counter()
        self._steps_timed, self._seconds, self._waited = 0, 0.0, 0.0  # since the last row
        self._sums: dict[str, np.ndarray] = {}  # likewise: of each metric its sum, and of how many
        self._row: dict[str, float] = {}

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Around work that takes long, whose name is shown.

        Validating and saving are not counted as time of the steps; compiling one is.
        """
        with self._shown.doing(what) if self._shown else nullcontext():
            yield

    def say(self, line: str) -> None:
        """A line for who watches."""
        if self._shown:
            print(line)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around the wait for a dispatch's data."""
        start = time.perf_counter()
        yield
        self._waited += time.perf_counter() - start

    @contextmanager
    def trace(self, step: int) -> Iterator[None]:
        """Around a dispatch: traces a few steps, once compilation is over, if ``profile`` is set."""
        if self._window and not self._tracing and step >= self._window.start:
            jax.profiler.start_trace(str(self._profile))
            self._tracing = True
        yield
        if self._tracing and step + 1 >= self._window.stop:
            self.close()

    def close(self) -> None:
        """End a trace that is still going on."""
        if self._tracing:
            jax.profiler.stop_trace()
            self._tracing, self._window = False, range(0)

    def stepped(
        self,
        step: int,
        count: int,
        metrics: Mapping[str, np.ndarray],
        rate: float,
        state: TrainState,
    ) -> None:
        """After ``count`` steps; writes a row where ``log_every`` says.

        Args:
            step: steps done.
            count: how many of them this dispatch did.
            metrics: a value for each of these, ``[count]``; NaN where nothing of a metric was scored. A
                row has the mean of the others since the last row, and no metric of which there is none.
            rate: learning rate of the last step.
            state: what training changes.
        """
        self._seconds += time.perf_counter() - self._clock
        self._steps_timed += count
        for name, values in metrics.items():
            # The loss and the gradient's norm hold no NaN: it would have stopped the run.
            known = values[~np.isnan(values)]
            added = np.array([known.sum(dtype=np.float64), known.size])
            self._sums[name] = self._sums.get(name, 0.0) + added
        row = {k: float(total / n) for k, (total, n) in self._sums.items() if n}
        row["images_per_second"] = self._steps_timed * self._config.batch / self._seconds
        row["step_ms"] = 1e3 * self._seconds / self._steps_timed
        row["data_wait"] = self._waited / self._seconds
        row["learning_rate"] = rate
        due = is_due(step, self._config.log_every, self._steps)
        if due:
            with self.doing("measuring the average"):
                row["ema_distance"] = _relative_distance(state.ema, state.params)
            if memory := _peak_memory():
                row["device_gib"] = memory
            if self._records:
                self._records.write(step, row)
        if due or not self._config.log_every:  # without rows the bar shows the last dispatch
            self._steps_timed, self._seconds, self._waited, self._sums = 0, 0.0, 0.0, {}
        self._row = row
        if self._shown:
            self._shown.tick(step, row, due)
        self._clock = time.perf_counter()

    def validated(self, step: int, found: Mapping[str, float]) -> None:
        """After a validation."""
        if self._records and found:
            self._records.write(step, found)
        if self._shown:
            self._shown.tick(step, {**self._row, **found}, due=bool(found))
        self._clock = time.perf_counter()


def is_due(step: int, every: int, last: int = 0) -> bool:
    """Whether what comes every so many steps, and after the last one, comes now; 0 is never.

    Args:
        step: number of steps done.
        every: steps between two times; 0: never.
        last: last step of the run; 0 where that is no time of its own.
    """
    return every > 0 and (step % every == 0 or step == last)


def _relative_distance(average: Any, params: Any) -> float:
    """Norm of the difference over the norm of the parameters."""
    here = [[at_hand(leaf) for leaf in jax.tree.leaves(tree)] for tree in (average, params)]
    if any(leaf is None for tree in here for leaf in tree):
        return float(_distance_on_devices(average, params))
    # A program over the whole tree takes seconds to compile, and this none.
    squares = [
        [np.sum(np.square(d, dtype=np.float64)) for d in (a - b, b)]
        for a, b in zip(*here, strict=True)
    ]
    apart, long = np.sqrt(np.sum(squares, axis=0))
    return float(apart / long) if long else float("nan")


@jax.jit
def _distance_on_devices(average: Any, params: Any) -> jax.Array:
    difference = jax.tree.map(jnp.subtract, average, params)
    return optax.tree.norm(difference) / optax.tree.norm(params)


def _peak_memory() -> float | None:
    """Peak memory of this process's first device in GiB; None where JAX does not say (CPU)."""
    found = jax.local_devices()[0].memory_stats() or {}
    peak = found.get("peak_bytes_in_use")
    return None if peak is None else peak / 2**30


def _bar(show: bool, step: int, steps: int):
    """Context manager giving what a person sees, or None."""
    if not show:
        return nullcontext()
    return training_bar(step, steps)
