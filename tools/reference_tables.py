"""What the pages of docs/reference are made of: tables of Markdown."""

from collections.abc import Sequence
from typing import Any

MADE = "Made by `python tools/make_reference.py`; change the code, not this page.\n"
# A key that chooses among networks, which bring settings of their own.
CHOOSES = {"symmetric": "model.net.name", "coupling": "model.conditioner.name"}


def cell(value: Any) -> str:
    """Text that a cell of a table can hold."""
    return " ".join(str(value).split()).replace("|", "\\|") or "-"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table of Markdown."""
    lines = [list(head), ["---"] * len(head), *[[cell(c) for c in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
