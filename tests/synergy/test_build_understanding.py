"""The command that writes understanding instances of a cohort."""

import sys

import pytest

from msflow_jax.commands.build_understanding import main
from msflow_jax.synergy import jsonl
from tests.data.sources.cohort.cohorts import cohort, table

TINY = ("--subjects=10", "--side=8")


def fails(monkeypatch, capsys, *arguments):
    """The one line that a call ends with."""
    from msflow_jax.commands.common import run

    monkeypatch.setattr(sys, "argv", ["build_understanding", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        run(main)
    err = capsys.readouterr().err.strip().splitlines()
    assert stop.value.code == 2
    return err[-1]


def test_phantoms(tmp_path, capsys):
    out = tmp_path / "out"
    main(["phantoms", str(out), "--count=30", "--seed=3", "--withhold", "pdw-flair", *TINY])
    assert "written" in capsys.readouterr().out
    lines = jsonl.read(out / "understanding.jsonl")
    assert len(lines) == 30 and sorted(p.name for p in out.iterdir()) == [
        "images", "understanding.jsonl",
    ]  # fmt: skip
    named = {name for one in lines for name in one.pair or ()}
    assert "xray" not in named and len(named) > 3  # one picture a head has no slices
    again = tmp_path / "again"
    main(["phantoms", str(again), "--count=30", "--seed=3", "--withhold", "pdw-flair", *TINY])
    assert (again / jsonl.FILE).read_bytes() == (out / jsonl.FILE).read_bytes()


def test_a_table_of_examinations(tmp_path, capsys):
    """Of two modalities, some missing: descriptions of routes are too few, the other tasks are made."""
    place = table(tmp_path, cohort(tmp_path))
    out = tmp_path / "out"
    main([str(place), str(out), "--count=20", "--arm=no_instruction"])
    lines = jsonl.read(out / jsonl.FILE)
    assert {one.pair for one in lines} <= {("t1w", "ct"), ("ct", "t1w"), None}
    text = (out / jsonl.FILE).read_text()
    assert '"P' not in text and "t1_" not in text
    capsys.readouterr()


def test_what_cannot_be_written_is_one_line(monkeypatch, capsys, tmp_path):
    out = tmp_path / "out"
    call = ("phantoms", out, "--count=5", *TINY)
    line = fails(monkeypatch, capsys, *call, "--withhold", "t1w-pet")
    assert "--withhold t1w-pet is no route SOURCE-TARGET of the modalities t1w, t2w" in line
    line = fails(monkeypatch, capsys, *call, "--modalities", "t1w", "xray")
    assert "xray is the same picture in all slices" in line
    line = fails(monkeypatch, capsys, *call, "--modalities", "t1w")
    assert "modalities t1w: tasks are made of pairs" in line
    line = fails(monkeypatch, capsys, "phantoms", out, "--count=0", *TINY)
    assert "--count must be at least 1, got 0" in line
    line = fails(monkeypatch, capsys, tmp_path / "none.csv", out, "--count=5")
    assert "none.csv" in line
    assert not out.exists()
    line = fails(monkeypatch, capsys, "phantoms", out, "--count=5", "--arm=best")
    assert "invalid choice: 'best'" in line
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    line = fails(monkeypatch, capsys, *call)
    assert "is not empty: name a new folder" in line
    assert [p.name for p in out.iterdir()] == ["mine.txt"]
