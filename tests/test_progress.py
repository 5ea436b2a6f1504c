"""What a person sees of long work: on a terminal of any width, and in a file."""

import io
import re
import time

import pytest
from rich.console import Console

from msflow_jax import progress
from msflow_jax.progress import bar, doing, noted, track
from msflow_jax.training.bar import training_bar

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def terminal(width):
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)


def last_line(console):
    lines = ESCAPE.sub("\r", console.file.getvalue()).replace("\n", "\r").split("\r")
    return next(line for line in reversed(lines) if line.strip())


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
def test_count_and_time_left_fit_any_terminal(width):
    console = terminal(width)
    with training_bar(0, 200000, console) as shown:
        shown.tick(123456, {"loss": 0.1234, "images_per_second": 1234.0, "val_auc": 0.987})
    line = last_line(console)
    assert "123456/200000" in line and "-:--:--" in line and len(line) <= width
    assert ("loss 0.1234" in line) == (width > 50)
    console = terminal(width)
    with bar("classifying the test split of a data set", 2000, console) as advance:
        advance(1234)
    line = last_line(console)
    assert "1234/2000" in line and "-:--:--" in line and len(line) <= width


@pytest.fixture
def fast(monkeypatch):
    """Seconds are hundredths."""
    for name in ("SOON", "EVERY"):
        monkeypatch.setattr(progress, name, getattr(progress, name) / 50)


def test_long_work_tells_what_it_does(fast, capsys):
    with doing("compiling the step"):
        time.sleep(0.25)
    with doing("a moment"):
        pass
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 3 and all(line == "compiling the step ...  0 s" for line in lines)


def test_what_is_within_speaks(fast, capsys):
    with doing("evaluating"):
        with doing("drawing"):
            time.sleep(0.2)
        within = capsys.readouterr().err
        time.sleep(0.2)
    assert "drawing" in within and "evaluating" not in within
    assert set(capsys.readouterr().err.splitlines()) == {"evaluating ...  0 s"}


def test_a_bar_in_a_file_is_lines(fast, capsys):
    with bar("reading", 3) as advance:
        for _ in range(3):
            time.sleep(0.05)
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"reading [012]/3  0 s", lines[0]) and lines[-1] == "reading 3/3  0 s"
    with bar("reading", 1) as advance:
        advance(1)
    assert capsys.readouterr().err == ""  # too short to tell
    assert list(track(range(progress.LONG + 1), "walking")) == list(range(progress.LONG + 1))


def test_what_of_it_goes_on_just_now(fast, capsys):
    with noted("compiling"):  # nothing is being told
        pass
    with bar("classifying", 12):
        with noted("compiling"):
            time.sleep(0.05)
        time.sleep(0.1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "classifying 0/12 (compiling)  0 s" and lines[-1] == "classifying 0/12  0 s"


def test_the_time_left_does_not_count_what_comes_between_steps(fast, capsys):
    with training_bar(0, 100) as shown:
        time.sleep(0.05)
        shown.tick(1, {"loss": 0.5})
        with shown.doing("validating"):
            time.sleep(0.3)  # longer than all that was done before
        assert re.search(r"  0:00:0[4-9] left$", shown.line())


def test_training_in_a_file_is_a_line_per_row(fast, capsys):
    with training_bar(4, 12) as shown:
        with shown.doing("compiling the training step"):
            time.sleep(0.05)
        for step in range(5, 13):
            shown.tick(step, {"loss": 0.5, "images_per_second": 7.0}, due=step % 4 == 0)
        shown.tick(12, {"val_auc": 0.75}, due=True)
        time.sleep(0.2)  # a row is late
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("compiling the training step ...")
    said = [line.split("  ")[0] for line in lines[1:]]
    assert said[:4] == ["step 8/12", *["step 12/12"] * 3] and set(said[4:]) <= {"step 12/12"}
    assert re.fullmatch(r"step 8/12  loss 0.5000  7 images/s  \d:\d\d:\d\d left", lines[1])
    assert "val_auc 0.750" in lines[3]
