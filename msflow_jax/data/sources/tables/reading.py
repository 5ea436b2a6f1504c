"""Reads a CSV that people and spreadsheets wrote; what is wrong with one is said with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from msflow_jax.storage.content import describe_content

_PLAIN = ("text", "bytes of no known kind")  # of which the line says more
_SIGNS = {";": "semicolons", "\t": "tabs", ",": "commas"}
# What people call columns, by what they are called here.
LIKELY = {
    "label": (
        "labels", "class", "classes", "category", "diagnosis", "dx", "group", "target", "grade", "y",
    ),
    "path": ("paths", "file", "files", "filename", "file_name", "filepath", "image", "images"),
}  # fmt: skip


def read_table(
    path: Path, needed: Sequence[str], texts: Collection[str] = (), *, quotes: bool = True
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Reads a table in UTF-8, with or without a byte order mark: of tabs if a .tsv, else of commas.

    Blanks around a cell and empty lines are dropped; a column without a name must be empty.

    Args:
        path: path of the CSV.
        needed: columns that it must have.
        texts: columns whose cells may have several lines, in lower case.
        quotes: whether quotes enclose cells, or are letters as any other (in the BIDS layout).

    Returns:
        The columns, and ``(number of the line, cells)`` of each row, a cell for each column.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no text in UTF-8, a quote is not closed, a row has more or fewer cells than
            the header, a column is missing or there twice, or nothing is below the header. Names file
            and line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no table at {path}")
    delimiter = _delimiter(path)
    lines = _rows(path, _text(path), delimiter, quotes)
    header = next(lines, (0, 0, []))[2]
    while header and not header[-1]:
        header.pop()
    if not set(needed) <= set(header):
        raise ValueError(_other_header(path, header, needed))
    hint = parted_hint(path, header)
    if twice := [name for i, name in enumerate(header) if name in header[:i]]:
        raise ValueError(
            f"{path}, line 1: two columns are called {twice[0]!r}: rename or remove one"
        )
    rows = []
    for number, end, cells in lines:
        for name, cell in zip_longest(header, cells, fillvalue=""):
            if ("\n" in cell or "\r" in cell) and name.casefold() not in texts:
                raise ValueError(
                    f"{path}, line {number}: a cell ends in line {end}: is a quote not closed?"
                )
        if any(cells[len(header) :]) or len(cells) < len(header):
            raise ValueError(
                f"{path}, line {number}: {len(cells)} cells, but the header has {len(header)} "
                f"({','.join(header)}){hint}: put cells with a {_SIGNS[delimiter][:-1]} in quotes, and "
                "fill or remove columns"
            )
        rows.append((number, cells[: len(header)]))
    if not rows:
        raise ValueError(f"{path} lists nothing below its header")
    return header, rows


def _text(path: Path) -> str:
    data = path.read_bytes()
    if not data:
        raise ValueError(f"{path} is empty")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"{path}, line {data.count(bytes([10]), 0, error.start) + 1}"
        raise ValueError(
            f"{where}: not UTF-8 (byte 0x{data[error.start]:02x}){_kind(data)}: save it as CSV (UTF-8)"
        ) from error
    if (at := text.find("\0")) >= 0:
        where = f"{path}, line {text.count(chr(10), 0, at) + 1}"
        raise ValueError(f"{where}: a NUL byte{_kind(data)}: save it as CSV (UTF-8)")
    return text


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def parted_hint(path: Path, header: Sequence[str]) -> str:
    """What to say of a header whose cells another sign parts; empty where none does."""
    own = _delimiter(path)
    for sign, name in _SIGNS.items():
        likely_one = sign != "," or len(header) == 1
        if sign != own and likely_one and any(sign in cell for cell in header):
            return f"; cells are parted by {name}: save it with {_SIGNS[own]}"
    return ""


def likely(header: Sequence[str], name: str) -> str:
    """The column that may be meant by another name, or in other letters; empty where none may."""
    words = (name, *LIKELY.get(name, ()))
    return next((cell for cell in header if cell.casefold() in words and cell != name), "")


def _rows(
    path: Path, text: str, delimiter: str, quotes: bool
) -> Iterator[tuple[int, int, list[str]]]:
    """``(number of its first line, of its last, cells)`` of each row that is not empty."""
    lines = io.StringIO(text, newline="")
    if quotes:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    else:
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = "a quote is not closed" if "end of data" in str(error) else str(error)
            hint = parted_hint(path, text.split("\n", 1)[0].split(delimiter))
            raise ValueError(f"{path}, line {number}: {reason}: correct the line{hint}") from error
        if any(cell.strip() for cell in cells):
            yield number, reader.line_num, [cell.strip() for cell in cells]


def _other_header(path: Path, header: Sequence[str], needed: Sequence[str]) -> str:
    """What to say of a header that lacks columns."""
    hint = parted_hint(path, header)
    for name in (name for name in needed if name not in header):
        if other := likely(header, name):
            hint += f"; is {other!r} the {name}? Rename it to {name}"
    if "path" in needed and "path" not in header and "label" in header and not hint:
        hint = "; a table of files of several modalities is a cohort (--config=cohort_classify)"
    with path.open("rb") as file:
        kind = _kind(file.read(4096))
    return (
        f"{path}: the header must have {','.join(needed)}; got {','.join(header) or 'nothing'}"
        f"{kind}{hint}"
    )


def _kind(data: bytes) -> str:
    words = describe_content(data[:4096])
    return "" if words in _PLAIN else f"; it holds {words}"
