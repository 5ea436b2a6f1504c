"""Words that come from files and from users, made fit for a table and a file's name."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msflow_jax.storage.atomic import write_atomically

# What a spreadsheet takes for a formula, full-width forms among them; apostrophes before it are counted
# in, so that `uncell` takes off exactly the one that `cell` put there.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|inf|nan)", re.ASCII)
_LONGEST_STEM = 60


def read_utf8(path: Path) -> str:
    """What a file of text says, without the mark of the order of bytes.

    Raises:
        ValueError: it is no text in UTF-8; names the file.
        OSError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: write it again as one") from error


def cell(value: Any) -> Any:
    """A value as a table holds it: text that a spreadsheet would run gets an apostrophe before it.

    Numbers, also those that are text already, stay as they are. :func:`uncell` is the inverse.
    """
    if not isinstance(value, str):
        return value
    if _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def uncell(text: str) -> str:
    """What :func:`cell` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def csv_bytes(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> bytes:
    """A CSV (UTF-8, with a header) of rows of the same keys, none of whose cells a spreadsheet runs.

    Args:
        rows: one dict a line; names that are not UTF-8 keep their bytes.
        columns: the header where there may be no rows; empty: the keys of the first row.
    """
    text = io.StringIO(newline="")
    names = list(columns) or list(rows[0])
    writer = csv.writer(text)
    writer.writerow([cell(name) for name in names])
    writer.writerows([[cell(row[name]) for name in names] for row in rows])
    return text.getvalue().encode("utf-8", "surrogateescape")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> Path:
    """Writes :func:`csv_bytes` atomically.

    Raises:
        OSError: the file cannot be written; what was there is kept.
    """
    return write_atomically(path, csv_bytes(rows, columns))


def begins_with(path: Path, columns: Sequence[str]) -> bool:
    """Whether a file is a CSV whose header begins with these columns."""
    expected = ",".join(columns).encode()
    with path.open("rb") as file:
        header = file.read(len(expected) + 1)
    return header[: len(expected)] == expected and header[len(expected) :] in (
        b",",
        b"\r",
        b"\n",
        b"",
    )


def listed(values: Iterable[Any]) -> str:
    """Items in a sentence; one that holds a comma stands in quotes, lest it look like several."""
    return ", ".join(f"“{item}”" if "," in item else item for item in map(str, values))


def first_of(names: Sequence[str], most: int) -> str:
    """The first names of many: ``a, b and 3 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def file_stem(text: str) -> str:
    """A part of a file's name: the letters, digits and underscores of a text, at most 60 characters."""
    plain = "".join(c if c.isalnum() or c == "_" else "-" for c in text)
    # A file's name has at most 255 bytes, and a letter up to four.
    return plain.strip("-").encode()[: 4 * _LONGEST_STEM].decode(errors="ignore")[:_LONGEST_STEM]
