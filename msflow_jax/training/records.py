"""Metrics as they come: ``metrics.jsonl``, and further writers by name."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from msflow_jax.storage.atomic import write_atomically


class Writer(Protocol):
    """Where metrics go beside ``metrics.jsonl``."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """The values of a step; steps never go back within a process."""

    def close(self) -> None:
        """No more is coming."""


class TensorBoard:
    """Event files under ``workdir/tensorboard``."""

    def __init__(self, workdir: Path, resume_step: int):
        from tensorboardX import SummaryWriter

        self._board = SummaryWriter(str(workdir / "tensorboard"), purge_step=resume_step)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One scalar a value."""
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush."""
        self._board.close()


class WeightsAndBiases:
    """A Weights & Biases run named after the workdir; WANDB_MODE and WANDB_PROJECT are respected."""

    def __init__(self, workdir: Path, resume_step: int):
        wandb = _import("wandb")
        self._run = wandb.init(
            dir=str(workdir), name=workdir.name, config=_config(workdir), resume="allow"
        )

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One row."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """End the run."""
        self._run.finish()


class MLflow:
    """An MLflow run named after the workdir, where MLFLOW_TRACKING_URI says."""

    def __init__(self, workdir: Path, resume_step: int):
        self._mlflow = _import("mlflow")
        self._mlflow.start_run(run_name=workdir.name)
        self._mlflow.log_dict(_config(workdir), "config.json")

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


def _config(workdir: Path) -> dict[str, Any]:
    path = workdir / "config.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


class Records:
    """Append rows of numbers to ``metrics.jsonl`` and hand them to the writers.

    A resumed run first drops the rows beyond the step it resumes from, so that no step appears twice.

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
        self._path = workdir / "metrics.jsonl"
        kept = [r for r in read_records(workdir) if r["step"] <= resume_step] if resume_step else []
        lines = "".join(json.dumps(row) + "\n" for row in kept)
        write_atomically(self._path, lines.encode())
        self._writers: list[Writer] = [WRITERS[name](workdir, resume_step) for name in writers]

    def __enter__(self) -> "Records":
        return self

    def __exit__(self, *error: object) -> None:
        for writer in self._writers:
            writer.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One row: ``{"step": step, **values}``."""
        values = {k: float(v) for k, v in values.items()}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for writer in self._writers:
            writer.write(step, values)


def read_records(workdir: Path) -> list[dict[str, float]]:
    """The rows of ``metrics.jsonl``; a last line cut short by a crash is left out."""
    path = Path(workdir) / "metrics.jsonl"
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows
