"""Flags that would be accepted and ignored are refused, before anything is opened."""

import pytest

PLACES = ("--workdir=nowhere", "--images=nothing", "--output=out.csv")


@pytest.mark.parametrize(
    "name, given, words",
    [
        (
            "evaluate",
            ("--adopt=b", "--draws=3"),
            "--draws says nothing to --adopt=NAME: leave it out",
        ),
        ("evaluate", ("--adopt=b", "--by=site"), "--by says nothing to --adopt=NAME"),
        ("evaluate", ("--resize",), "--resize is for --images: give both or neither"),
        ("evaluate", ("--modality=ct",), "--modality is for --images: give both or neither"),
        ("classify", (*PLACES[1:], "--score=lac"), "--score is for --coverage: give both"),
        ("classify", (*PLACES[1:], "--by-class"), "--by-class is for --coverage: give both"),
        ("answer", (*PLACES[1:], "--form=letter"), "--form is for --questions: give both"),
    ],
)
def test_it_is_one_line(name, given, words, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    out = command(name, PLACES[0], *given)
    assert out.status == 2 and f"error: {words}" in out.err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_what_goes_together_is_not(tmp_path, monkeypatch, command):
    """Which then fails for want of a workdir."""
    monkeypatch.chdir(tmp_path)
    for name, given in (
        ("evaluate", ("--adopt=b",)),
        ("evaluate", ("--images=nothing", "--name=b", "--no-resize")),
        ("answer", ("--questions=nothing", "--form=letter", "--output=out.csv")),
    ):
        out = command(name, PLACES[0], *given)
        assert out.status == 2 and "nowhere" in out.err and "both or neither" not in out.err


@pytest.mark.parametrize(
    "name, given",
    [
        ("classify", PLACES[1:2]),
        ("answer", PLACES[1:2]),
        ("retrieve", ("--images=x", "--source=a", "--target=b", "--among=x")),
        ("report", ("--images=x", "--source=a")),
    ],
)
def test_a_csv_is_called_one(name, given, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    for ending in (".xlsx", ".TSV", ".jsonl"):
        out = command(name, PLACES[0], *given, f"--output=o{ending}")
        words = f"o{ending}: what is written is a CSV: let its name end in .csv\n"
        assert out.status == 2 and out.err.endswith(words)
    out = command(name, PLACES[0], *given, "--output=o.JSON")
    assert out.status == 2 and ("is no workdir" if name == "report" else "is a CSV") in out.err
