"""The examinations of a cohort as a table lists them: a path for each modality, and what else is known.

Columns called ``report``, ``label``, ``split`` and ``subject`` (or ``patient``, ``participant_id``, as
``meant_columns`` knows them) have their meaning, however they are capitalised. Every other column is a
modality if its cells are files, and a fact on the examination otherwise (see ``columns``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msflow_jax.data.base import class_name
from msflow_jax.data.oddities import warn_of_lookalikes
from msflow_jax.data.sources.cohort.columns import (
    LABEL,
    REPORT,
    absent_hint,
    is_there,
    meanings,
    modalities_of,
    refuse_taken,
)
from msflow_jax.data.sources.cohort.mixed import warn_of_mixed
from msflow_jax.data.sources.listings.entries import check_cells, check_inside, split_of
from msflow_jax.data.sources.listings.meant_columns import SPLIT, SUBJECT, warn_of_meant
from msflow_jax.data.sources.tables.cells import emptied
from msflow_jax.data.sources.tables.name_forms import as_there
from msflow_jax.data.sources.tables.reading import read_table
from msflow_jax.storage.content import describe_file, printable

_MAX_REPORT = 1 << 20  # bytes


@dataclass(frozen=True)
class Examination:
    """One row of a cohort before anything is read.

    Attributes:
        where: file and line, or the folder, for messages.
        name: what it is called where the names of its files may not be used.
        cells: path of each modality that it has, as the list names it.
        paths: the same as a file or folder.
        subject: whom it shows, in the user's words, which are written nowhere; empty if not known.
        label: its class; empty if not known.
        split: train, val or test; empty where it is to be cut.
        report: text; empty without one. Written nowhere.
        facts: the other columns.
    """

    where: str
    name: str
    cells: Mapping[str, str]
    paths: Mapping[str, Path]
    subject: str = ""
    label: str = ""
    split: str = ""
    report: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cohort:
    """Examinations, and the modalities that any of them has, in the order of the list."""

    rows: tuple[Examination, ...]
    modalities: tuple[str, ...]
    root: Path

    @property
    def named_by_files(self) -> bool:
        """Whether no path holds what its row calls the subject, which may be a patient's number."""
        return not any(
            row.subject and row.subject.casefold() in cell.casefold()
            for row in self.rows
            for cell in row.cells.values()
        )


def list_table(path: Path, *, outside: bool) -> Cohort:
    """Reads the table of a cohort; of the files only whether they are there.

    Args:
        path: a CSV with a row for each subject or examination; paths in it are relative to it.
        outside: whether files may lie outside its folder.

    Raises:
        FileNotFoundError: a file is missing; names line, column and path.
        ValueError: a malformed table (see ``read_table``), no column with files, a column that
            is called as something else is, or a row without any file, subject or split among others.
    """
    header, lines = read_table(path, (), texts=(REPORT,))
    columns = {name: [cells[i] for _, cells in lines] for i, name in enumerate(header) if name}
    meaning = meanings(path, list(columns))
    folder = path.parent
    free = [name for name in columns if name not in meaning]
    modalities = modalities_of(path, columns, free)
    refuse_taken(free, path)
    warn_of_meant(path, {name: columns[name] for name in columns if name not in modalities})
    warn_of_lookalikes(free, "columns", path)
    lines = emptied(
        path, header, lines, {*meaning, *modalities},
        label=next((name for name in meaning if meaning[name] == LABEL), ""),
        is_name=lambda name, cell: name in modalities and is_there(folder, cell),
    )  # fmt: skip
    check_cells(path, [meaning.get(name, "") for name in header], lines, (SUBJECT, SPLIT))
    rows = []
    seen: dict[Path, str] = {}
    for number, cells in lines:
        row = dict(zip(header, cells, strict=True))
        where = f"{path}, line {number}"
        given = {meaning[name]: row[name] for name in meaning}
        files = {name: row[name] for name in modalities if row[name]}
        paths = {
            name: _file(folder, cell, f"{where}, column {name!r}", outside, columns[name])
            for name, cell in files.items()
        }
        _refuse_twice(seen, paths, where)
        facts = {printable(n): printable(row[n]) for n in free if n not in modalities}
        rows.append(_row(where, number, given, files, paths, facts, folder, outside))
    warn_of_mixed(path, [f"line {number}" for number, _ in lines], [row.cells for row in rows])
    return Cohort(tuple(rows), tuple(modalities), path)


def _file(folder: Path, cell: str, where: str, outside: bool, column: Sequence[str] = ()) -> Path:
    """The file or folder that a cell names; ``column`` are the cells of its column."""
    path = folder / cell
    try:
        path, held = as_there(path)
        real, there = path.resolve(), held.exists()
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{where}: {path} is no path ({error})") from error
    if not outside:
        check_inside(path, real, folder, where, "cohort")
    if not there:
        hint = "the link leads nowhere" if path.is_symlink() else "paths are relative to the table"
        raise FileNotFoundError(
            f"{where}: no file {path} ({hint}; a modality that is missing has an empty cell)"
            f"{absent_hint(cell, column, folder)}"
        )
    return path


def _refuse_twice(seen: dict[Path, str], paths: Mapping[str, Path], where: str) -> None:
    for name, path in paths.items():
        place = f"{where}, column {name!r}"
        if (other := seen.setdefault(path.resolve(), place)) != place:
            raise ValueError(
                f"{place}: {path} is listed before, {other}: keep one cell for each file"
            )


def _row(
    where: str,
    number: int,
    given: Mapping[str, str],
    cells: Mapping[str, str],
    paths: Mapping[str, Path],
    facts: Mapping[str, str],
    folder: Path,
    outside: bool,
) -> Examination:
    """Checks one line; ``given`` are the cells of the columns with a meaning."""
    split = split_of(given, where)
    return Examination(
        where=where,
        name=f"row{number:05d}",
        cells={name: printable(cell) for name, cell in cells.items()},
        paths=paths,
        subject=class_name(given.get(SUBJECT, "")),
        label=class_name(given.get(LABEL, "")),
        split=split,
        report=_report(given.get(REPORT, ""), f"{where}, column {REPORT!r}", folder, outside),
        facts=facts,
    )


def _report(cell: str, where: str, folder: Path, outside: bool) -> str:
    """The text of a cell, or of the file that it names."""
    named = cell.lower().endswith(".txt") and "\n" not in cell and len(cell.split()) == 1
    if not cell or not (named or is_there(folder, cell)):
        return cell
    path = _file(folder, cell, where, outside)
    if not path.is_file() or path.stat().st_size > _MAX_REPORT:
        raise ValueError(f"{where}: {path} is no text file of at most {_MAX_REPORT:,} bytes")
    try:
        return path.read_bytes().decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where}: {path} is no text in UTF-8 but {describe_file(path)}: a report is text"
        ) from error
