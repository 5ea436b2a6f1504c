"""Metrics as they come: ``metrics.jsonl`` and TensorBoard."""

import json
from collections.abc import Mapping
from pathlib import Path


class Records:
    """Append rows of numbers to ``metrics.jsonl`` and to TensorBoard files in the same folder.

    A resumed run first drops the rows beyond the step it resumes from, so that no step appears twice.
    """

    def __init__(self, workdir: Path, *, resume_step: int = 0, tensorboard: bool = True):
        self._path = Path(workdir) / "metrics.jsonl"
        kept = [r for r in read_records(workdir) if r["step"] <= resume_step] if resume_step else []
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(row) + "\n" for row in kept))
        temporary.replace(self._path)
        self._board = None
        if tensorboard:
            from tensorboardX import SummaryWriter

            self._board = SummaryWriter(str(Path(workdir) / "tensorboard"), purge_step=resume_step)

    def __enter__(self) -> "Records":
        return self

    def __exit__(self, *error: object) -> None:
        if self._board:
            self._board.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One row: ``{"step": step, **values}``."""
        with self._path.open("a") as file:
            file.write(
                json.dumps({"step": step, **{k: float(v) for k, v in values.items()}}) + "\n"
            )
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, float(value), step)


def read_records(workdir: Path) -> list[dict[str, float]]:
    """The rows of ``metrics.jsonl``; a last line cut short by a crash is left out."""
    path = Path(workdir) / "metrics.jsonl"
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows
