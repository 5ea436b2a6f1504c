"""CSV files as people and spreadsheets write them."""

import pytest
from hypothesis import strategies as st

from msflow_jax import data
from msflow_jax.data.sources.tables.reading import read_table
from tests.fuzzing import fuzz


def table(tmp_path, content):
    path = tmp_path / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        "path,label\na.png,1\nb.png,2\n",
        "\ufeffpath,label\r\na.png,1\r\nb.png,2\r\n",
        "path,label\ra.png,1\rb.png,2",
        " path , label\n\na.png ,1\n  \n,\nb.png,2\n\n",
        'path,label,,\n"a.png",1,,\nb.png,"2",,\n',
    ],
)
def test_what_is_taken(tmp_path, content):
    header, rows = read_table(table(tmp_path, content), ("path", "label"))
    assert header == ["path", "label"]
    assert [cells for _, cells in rows] == [["a.png", "1"], ["b.png", "2"]]
    lines = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert all("png" in lines[number - 1] for number, _ in rows)


def test_signs_that_only_python_takes_for_ends_of_lines_stay(tmp_path):
    _, rows = read_table(table(tmp_path, "path,label\na\u2028\x0bb.png,1\n"), ("path",))
    assert rows == [(2, ["a\u2028\x0bb.png", "1"])]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "list.csv is empty"),
        ("path,label\n", "lists nothing below its header"),
        ('path,label\na.png,1\n"b.png,2\nc.png,3\n', "line 3: a quote is not closed"),
        ('path,label\na.png,"1\nb.png,2\nc.png,3"\n', "line 2: a cell ends in line 4: is a quote"),
        ('path,label\na.png,"1\nb.png,"2"\n', "line 2: ',' expected after"),
        ("path,label\na.png\n", "line 2: 1 cells, but the header has 2"),
        ("path,label\na.png,1\na,b.png,1\n", "line 3: 3 cells, but the header has 2"),
        ("path,label,label\na.png,1,2\n", "line 1: two columns are called 'label'"),
        ("path,label\na.png,1\nb\0.png,2\n", "line 3: a NUL byte"),
        (
            "path,label\na.png,1\nb.png,gr\u00fcn\n".encode("latin-1"),
            "line 3: not UTF-8 .byte 0xfc.",
        ),
        ("path,label\na.png,1\n".encode("utf-16"), "line 1: not UTF-8 .*text in UTF-16"),
        (b"PK\x03\x04\xff\xff", "not UTF-8.*holds a zip archive"),
        (
            "<!doctype html>\n<p>404",
            "header must have path,label; got <!doctype html>; .*HTML page",
        ),
        ("version https://git-lfs.github.com/spec/v1\n", "header must have .*git lfs pull"),
        ("subject,t1w,t2w,label\ns,a,b,c\n", "got .*; a table of .* .--config=cohort_classify.$"),
        ("path;label\na.png;1\n", "got path;label; cells are parted by semicolons"),
        ("path\tlabel\na.png\t1\n", "cells are parted by tabs"),
        (f"path,label\na.png,{'x' * 200_000}\n", "line 2: field larger than field limit"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, content, words):
    path = table(tmp_path, content)
    with pytest.raises(ValueError, match=words) as caught:
        read_table(path, ("path", "label"))
    assert str(path) in str(caught.value)


def test_a_table_of_tabs_by_its_suffix(tmp_path):
    path = tmp_path / "list.TSV"
    path.write_text('path\tlabel\na,b.png\t"1\t2"\n', encoding="utf-8")
    assert read_table(path, ("path",))[1] == [(2, ["a,b.png", "1\t2"])]
    path.write_text('path\tlabel\n"a.png\t5"\n', encoding="utf-8")
    assert read_table(path, ("path",), quotes=False)[1] == [(2, ['"a.png', '5"'])]
    path.write_text("path,label\na.png,1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="cells are parted by commas: save it with tabs"):
        read_table(path, ("path", "label"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name;label\na,b.png;1\n", "line 2: 2 cells, .*parted by semicolons: save it with commas"),
        ('name;label\n"a.png";"1"\n', "line 2: ',' expected .*parted by semicolons"),
    ],
)
def test_what_parts_the_cells_is_said_with_every_error(tmp_path, content, words):
    with pytest.raises(ValueError, match=words):
        read_table(table(tmp_path, content), ())


@pytest.mark.parametrize("name", ["Label", "class", "diagnosis", "DX"])
def test_a_column_by_another_name(tmp_path, name):
    path = table(tmp_path, f"filename,{name}\na.png,1\n")
    words = f"is '{name}' the label. Rename it to label"
    with pytest.raises(ValueError, match=rf"is 'filename' the path. Rename .*{words}"):
        read_table(path, ("path", "label"))


def test_no_table(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no table at .*none\.csv"):
        read_table(tmp_path / "none.csv", ())


PIECES = st.sampled_from(
    ["path", "label", "split", "patient", "a.png", "b.png", "train", "test", ",", ",", "\n", "\n", "\r",
     '"', ";", "\0", "\ufeff", "\u2028", " ", "../a.png", "=1", "\x1b[2J", "\ud7ff", "x" * 300, "."]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=40).map(lambda parts: "".join(parts).encode())
LISTS = st.lists(st.lists(PIECES, min_size=2, max_size=2).map(",".join), max_size=9).map(
    lambda lines: "\n".join(["path,label", *lines]).encode()
)


def test_no_table_ends_in_a_traceback(tmp_path):
    """Either rows, or one line that names the file: never another error, never an empty result."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no image")
    config = data.default_config("manifest")
    config.root = str(tmp_path / "list.csv")

    def check(content):
        path = table(tmp_path, content)
        try:
            assert read_table(path, ("path", "label"))[1]
        except (ValueError, FileNotFoundError) as error:
            assert str(path) in str(error)
        try:
            data.load(config)
            raise AssertionError("files that are no images were taken")
        except (ValueError, FileNotFoundError) as error:
            assert str(tmp_path) in str(error)

    assert fuzz(check, TEXTS | LISTS | st.binary(max_size=60)) > 100
