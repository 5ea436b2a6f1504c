"""Names that come from outside do nothing to a terminal, a table or a file system."""

import csv
import io

import pytest

from msflow_jax.storage.content import printable
from msflow_jax.storage.text import cell, csv_bytes, file_stem, uncell, write_csv

FORMULAS = (
    "=1+1",
    "+a",
    "-a",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1d1",
    "-1+1|cmd",
    "'=1",
    "''@x",
)
HARMLESS = ("a.png", "-1.5", "+1", "-1e-05", "-inf", "nan", "", "'quoted'", "1-1", "none", "日本")


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_is_text(text):
    assert cell(text) == "'" + text and uncell(cell(text)) == text


@pytest.mark.parametrize("text", HARMLESS)
def test_other_cells_stay(text):
    assert cell(text) == text == uncell(text)


def test_a_table_is_read_back(tmp_path):
    names = [*FORMULAS, *HARMLESS, 'a,b"c', "caf\udce9.png"]
    rows = [{"name": name, "=p": -0.5, "n": f"{-1.25:.3f}"} for name in names]
    text = write_csv(tmp_path / "new" / "t.csv", rows).read_bytes()
    assert text == csv_bytes(rows) and b"caf\xe9.png" in text
    decoded = text.decode("utf-8", "surrogateescape")
    found = list(csv.DictReader(io.StringIO(decoded, newline="")))
    assert [uncell(row["name"]) for row in found] == names
    assert found[0] == {"name": "'=1+1", "'=p": "-0.5", "n": "-1.250"}
    assert csv_bytes([], ["name", "label"]) == b"name,label\r\n"


def test_no_control_character_reaches_a_terminal():
    assert printable("a\x1b[2Jb\rc\x07\x9b1m\u202egnp.exe\u2066\u2028\udce9") == (
        "a\\x1b[2Jb\\x0dc\\x07\\x9b1m\\u202egnp.exe\\u2066\\u2028\\xe9"
    )
    for text in ("plain", "ä ß 日本", "नमस्\u200dते", "a\u00a0b"):
        assert printable(text) == text
    assert printable("a\n\tb", keep="\n\t") == "a\n\tb"


def test_a_part_of_a_file_name():
    assert file_stem("../very bright/") == "very-bright"
    assert file_stem("a" * 300) == "a" * 60 and len(file_stem("日" * 300).encode()) <= 240
    assert file_stem("\x1b…") == ""
