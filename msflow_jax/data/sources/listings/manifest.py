"""The user's own images as a CSV lists them, before they are read."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from msflow_jax.data.base import class_name
from msflow_jax.data.sources.listings.entries import check_cells, check_inside, slash_hint, split_of
from msflow_jax.data.sources.listings.folder_checks import warn_of_folders
from msflow_jax.data.sources.listings.folders import (
    COLUMNS,
    Listing,
    Row,
    root_of,
    sort_rows,
)
from msflow_jax.data.sources.listings.meant_columns import called, warn_of_meant
from msflow_jax.data.sources.listings.subjects import examples_of, keep_together
from msflow_jax.data.sources.nifti.reading import split_volume
from msflow_jax.data.sources.tables.cells import Line, emptied
from msflow_jax.data.sources.tables.name_forms import as_there
from msflow_jax.data.sources.tables.reading import read_table
from msflow_jax.storage.content import printable
from msflow_jax.storage.text import first_of

_NAMED = 3  # lines in an error


def list_manifest(config: ConfigDict) -> Listing:
    """Lists the images of a CSV with the columns ``path,label[,patient][,split]``.

    The last two may be spelled as ``meant_columns`` knows them, such as ``PatientID``. Paths are
    relative to the CSV and stay in its folder, links followed, unless ``config.outside``. Without a
    split column images are cut 70/10/20 within each class, never between the images of a patient; with
    one that has no val, 1/8 of train becomes val.

    Raises:
        FileNotFoundError: if the CSV or an image in it is missing.
        ValueError: for a malformed CSV (see ``read_table``), a path that leaves its folder, one
            file under two names, or a patient in two splits.
    """
    path = root_of(config)
    if path.is_dir():
        raise ValueError(
            f"{path} is a folder, and the source `manifest` reads a table: name the CSV, or add "
            "--config.data.name=folder, which reads a folder of images for each class"
        )
    if not path.is_file():
        raise FileNotFoundError(f"no manifest at {path} (--config.data.root)")
    rows = list_rows(path, outside=config.outside)
    _keep_patients_together(path, rows)
    named = any(row.patient for row in rows)
    rows = examples_of(rows, config, path)
    if not named:  # else the column says who is who
        keep_together(rows, path)
        warn_of_folders(rows, path)
    return sort_rows(rows, path, config.seed)


def list_rows(path: Path, *, outside: bool, splits: bool = True) -> list[Row]:
    """The lines of a CSV with the columns ``path,label[,patient][,split]``, none of them read.

    Args:
        path: path of the CSV.
        outside: whether images may lie outside its folder.
        splits: whether the column ``split`` is looked at; if not, a line says which rows it names.

    Raises:
        FileNotFoundError: an image is missing.
        ValueError: as :func:`list_manifest`, but for patients.
    """
    header, lines = read_table(path, ("path", "label"))
    columns = called(path, header, "patient")
    warn_of_meant(path, {n: [cells[i] for _, cells in lines] for i, n in enumerate(columns) if n})
    folder = None if outside else path.parent.resolve()
    ignored = set() if splits else {"split"} & {*columns}
    if ignored:
        _warn_of_splits(path, [cells[columns.index("split")] for _, cells in lines])
    lines = emptied(
        path, columns, lines, {*COLUMNS} - ignored, label="label",
        is_name=lambda name, cell: name == "path" and (path.parent / cell).exists(),
    )  # fmt: skip
    check_cells(path, columns, lines, {*COLUMNS} - ignored)
    rows = []
    seen: dict[Path, str] = {path.resolve(): ""}
    for number, cells in lines:
        where = f"{path}, line {number}"
        named = zip(columns, cells, strict=True)
        try:
            row = _row(path, where, {k: v for k, v in named if k not in ignored}, folder)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}{_others(path, columns, lines, number)}") from error
        real = row.path.resolve()
        if seen.get(real) == "":
            raise ValueError(
                f"{where}: {path.name} lists itself, and is no picture: remove the line"
            )
        if real in seen:
            other = "" if seen[real] == row.name else f" (first as {seen[real]})"
            raise ValueError(
                f"{where}: {path.name} lists {row.name} more than once{other}: keep one line for "
                "each image"
            )
        seen[real] = row.name
        rows.append(row)
    return rows


def _warn_of_splits(path: Path, cells: Sequence[str]) -> None:
    """A line on a table of training data, of which all rows are measured."""
    counts = Counter(cell.casefold() for cell in cells)
    if counts.keys() - {"", "test"}:
        words = ", ".join(f"{n} {name or 'without one'}" for name, n in counts.most_common())
        warnings.warn(
            f"{path}: the column split is not looked at, and all rows are measured ({words}): what a "
            "model was trained on is no test of it",
            stacklevel=5,
        )


def _others(path: Path, columns: Sequence[str], lines: Sequence[Line], first: int) -> str:
    """How many more lines name a file that is not there, for an error; empty without one."""

    def is_there(cell: str) -> bool:
        try:
            return (path.parent / split_volume(cell)[0]).exists()
        except (OSError, RuntimeError):  # no path at all, which is said by itself
            return True

    at = columns.index("path")
    absent = [str(n) for n, cells in lines if n != first and not is_there(cells[at])]
    return f"; nor of line {first_of(absent, _NAMED)}" if absent else ""


def _row(path: Path, where: str, cells: dict[str, str], folder: Path | None) -> Row:
    """Checks one line; ``folder`` is where its file must lie, None for anywhere.

    A path may be a folder, of a DICOM series, or one volume of a file: ``scan.nii.gz#3``.
    """
    split = split_of(cells, where)
    file = path.parent / cells["path"]
    try:
        file, held = as_there(file)
        real, there = held.resolve(), held.is_file() or file.is_dir()
    except (OSError, RuntimeError) as error:  # a name too long, links in a circle
        raise ValueError(f"{where}: {file} is no path ({error})") from error
    if folder is not None:
        check_inside(file, real, folder, where, "manifest")
    if not there:
        hint = slash_hint(cells["path"])
        raise FileNotFoundError(f"{where}: no file {file} (paths are relative to the table){hint}")
    label = class_name(cells["label"])
    patient = class_name(cells.get("patient", ""))
    facts = tuple((key, printable(cells[key])) for key in sorted(cells) if key not in COLUMNS)
    return Row(file, printable(cells["path"]), label, patient, split, facts)


def _keep_patients_together(path: Path, rows: list[Row]) -> None:
    seen: dict[str, str] = {}
    for row in rows:
        if row.patient and seen.setdefault(row.patient, row.split) != row.split:
            raise ValueError(
                f"{path}: patient {row.patient} is in both {seen[row.patient]} and {row.split}: "
                "keep each patient in one split, or drop the split column to have it cut for you"
            )
