"""Metrics as they come: ``metrics.jsonl``, and further writers by name."""

import json
import secrets
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from msflow_jax.storage.atomic import write_atomically
from msflow_jax.storage.jsons import read_object, read_rows, write_json
from msflow_jax.training.guarded import Guarded
from msflow_jax.training.stage import STAGES


class Writer(Protocol):
    """Where metrics go beside ``metrics.jsonl``."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """The values of a step; steps never go back within a process."""

    def close(self) -> None:
        """No more is coming."""


class TensorBoard:
    """Event files under ``workdir/tensorboard``, written row by row: an error is one at once."""

    def __init__(self, workdir: Path, resume_step: int):
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        folder = workdir / "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        self._events = EventsWriter(str(folder / "events"))
        start = SessionLog(status=SessionLog.START)  # rows beyond it are no longer shown
        self._events.write_event(Event(step=resume_step, session_log=start))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One scalar a value."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in values.items():
            event = Event(step=step, wall_time=time.time(), summary=scalar(name, value))
            self._events.write_event(event)
        self._events.flush()

    def close(self) -> None:
        """Flush."""
        self._events.close()


class WeightsAndBiases:
    """A Weights & Biases run named after the workdir, and its stage; it goes on where the run does.

    WANDB_MODE and WANDB_PROJECT are respected.
    """

    def __init__(self, workdir: Path, resume_step: int):
        wandb, (name, config) = _import("wandb"), _of_run(workdir)
        known = _known(workdir, "wandb", resume_step) or secrets.token_hex(8)
        self._run = wandb.init(dir=str(workdir), name=name, config=config, id=known, resume="allow")
        _keep(workdir, "wandb", known)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One row."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """End the run."""
        self._run.finish()


class MLflow:
    """An MLflow run named as those of Weights & Biases are, where MLFLOW_TRACKING_URI says."""

    def __init__(self, workdir: Path, resume_step: int):
        self._mlflow, (name, config) = _import("mlflow"), _of_run(workdir)
        known = _known(workdir, "mlflow", resume_step)
        run = self._mlflow.start_run(run_id=known or None, run_name=name)
        _keep(workdir, "mlflow", run.info.run_id)
        if not known:
            self._mlflow.log_dict(config, "config.json")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One row."""
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        """End the run."""
        self._mlflow.end_run()


WRITERS: dict[str, Callable[[Path, int], Writer]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}


def _import(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"train.writers needs {module}, which is not installed: pip install {module}, or leave "
            "it out"
        ) from error


def _of_run(folder: Path) -> tuple[str, dict[str, Any]]:
    """What the run of a folder, its own or that of a stage, is called, and its configuration."""
    folder = folder.absolute()
    run = folder.parents[1] if folder.parent.name == STAGES else folder
    path = run / "config.json"
    name = run.name if run == folder else f"{run.name}/{folder.name}"
    return name, read_object(path) if path.is_file() else {}


def _known(folder: Path, service: str, resume_step: int) -> str:
    """What a service calls the run that goes on here; empty for one that begins."""
    path = folder / f"{service}.json"
    return str(read_object(path).get("id", "")) if resume_step and path.is_file() else ""


def _keep(folder: Path, service: str, name: str) -> None:
    write_json(folder / f"{service}.json", {"id": name})


class Records:
    """Append rows of numbers to ``metrics.jsonl`` and hand them to the writers.

    A resumed run first drops the rows beyond the step it resumes from, so that no step appears twice. No
    log stops or blocks a run: one that fails is named in a warning, and left out from then on.

    Args:
        workdir: where ``metrics.jsonl`` lies.
        resume_step: the step that the run goes on from.
        writers: names of further writers, of ``tensorboard``, ``wandb``, ``mlflow``.

    Raises:
        ValueError: an unknown writer.
        ImportError: the package of a writer is not installed.
    """

    def __init__(self, workdir: Path, *, resume_step: int = 0, writers: Sequence[str] = ()):
        workdir = Path(workdir)
        if unknown := set(writers) - set(WRITERS):
            raise ValueError(
                f"unknown train.writers {sorted(unknown)}: choose of {', '.join(sorted(WRITERS))}"
            )
        self._lines = Lines(workdir, resume_step)
        makers = {name: partial(WRITERS[name], workdir, resume_step) for name in writers}
        self._writers = [Guarded(name, workdir, make) for name, make in makers.items()]

    def __enter__(self) -> "Records":
        return self

    def __exit__(self, *error: object) -> None:
        for writer in self._writers:
            writer.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One row: ``{"step": step, **values}``."""
        values = {k: float(v) for k, v in values.items()}
        self._lines.write(step, values)
        for writer in self._writers:
            writer.write(step, values)


class Lines:
    """``metrics.jsonl``: a row that cannot be written is lost, with one warning for all of them."""

    def __init__(self, workdir: Path, resume_step: int):
        self._path, self._warned, self._whole = workdir / "metrics.jsonl", False, True
        try:
            rows, bad = read_rows(self._path)
            if bad and resume_step:
                aside = self._path.with_name("metrics.jsonl.damaged")
                with aside.open("ab") as file:
                    file.writelines(bad)
                warnings.warn(
                    f"{self._path}: {len(bad)} lines are no rows and were moved to {aside.name}",
                    stacklevel=2,
                )
            kept = [row for row in rows if row["step"] <= resume_step] if resume_step else []
            write_atomically(self._path, "".join(json.dumps(r) + "\n" for r in kept).encode())
        except OSError as error:
            self._warn(error)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One line."""
        line = json.dumps({"step": step, **values}) + "\n"
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line if self._whole else "\n" + line)
            self._whole = True
        except OSError as error:
            self._whole = False  # there may be a part of the line
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{self._path} cannot be written ({error}): training goes on, rows are lost",
                stacklevel=3,
            )


def read_records(workdir: Path) -> list[dict[str, float]]:
    """The rows of ``metrics.jsonl``; lines that are no rows are left out.

    Args:
        workdir: folder that it lies in.
    """
    return read_rows(Path(workdir) / "metrics.jsonl")[0]
