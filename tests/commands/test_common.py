"""What every command does alike: streams that close, Ctrl-C, control characters, paths."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from msflow_jax.commands import common
from msflow_jax.commands.common import file_path, path, run, source_path
from msflow_jax.storage.interruption import Interruption

ROOT = Path(__file__).resolve().parents[2]
READERS = [
    "answer",
    "classify",
    "evaluate",
    "explain",
    "report",
    "retrieve",
    "segment",
    "translate",
]


def call(body, *, shell="", before="", **environment):
    """A command of this body in a process of its own: status and both streams, in bytes."""
    lines = [
        "import sys",
        before,
        "from msflow_jax.commands.common import run",
        f"def main(_):\n {body}",
        "run(main)",
        "sys.stderr.write('status 0')",
    ]
    program = [sys.executable, "-c", "\n".join(lines)]
    script = [f'"$@" {shell}', "sh", *program]
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(["sh", "-c", *script], capture_output=True, env=given, timeout=60)


def test_a_reader_that_leaves_stops_nothing():
    """``| head``: the command finishes its work and ends with status 0."""
    work = "[print('x' * 99) for _ in range(9999)]; sys.stderr.write('done, ')"
    out = call(work, shell="| head -1")
    assert out.stdout.count(b"\n") == 1 and out.stderr == b"done, status 0"
    assert call("print('x')", shell="| true").stderr == b"status 0"
    assert call("print('x')", shell=">&-").stderr == b"status 0"
    assert call("print('x')", shell="2>&1 >/dev/null | true").returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_an_output_on_a_full_disk_is_one_line():
    out = call("print('x')", shell="> /dev/full")
    assert out.returncode == 2 and out.stderr.count(b"\n") == 1
    assert out.stderr.startswith(b"error: standard output: No space left on device: make room")


def test_letters_that_the_terminal_lacks():
    out = call("print('caf\\u00e9 \\u65e5')", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert out.stdout == b"caf\\xe9 \\u65e5\n" and out.stderr == b"status 0"


def outcome(main, capsys):
    """Status and streams of a command in this process."""
    status = 0
    try:
        run(main)
    except SystemExit as stop:
        status = stop.code
    return status, *capsys.readouterr()


def test_control_characters_do_not_reach_the_terminal(capsys):
    def main(_):
        print("a\x1b[2J\n")
        raise ValueError("bad\x1b]0;title\x07 name\u202egnp.\nexe")

    status, out, err = outcome(main, capsys)
    assert status == 2 and out == "a\\x1b[2J\n\n"
    assert err.startswith("error: bad\\x1b]0;title\\x07 name\\u202egnp. exe (")
    with pytest.raises(SystemExit):
        common.parser("x").parse_args(["--\x1b[2J"])
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("said", ["", "stopped by Ctrl-C: 3 of 9 images are in p.csv.partial"])
def test_ctrl_c_is_one_line(said, capsys):
    def main(_):
        raise KeyboardInterrupt(said)

    assert outcome(main, capsys) == (130, "", f"{said or 'stopped by Ctrl-C'}\n")


WAITING = """
import hashlib, os, signal, threading, time
from msflow_jax.storage.interruption import Interruption
def press():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.3)
def in_c():
    threading.Timer(0.3, press).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
def kept():
    with Interruption() as stop:
        press()
        print("kept", stop.came, flush=True)
    press()
def twice():
    with Interruption():
        press(), press()
        print("never")
"""


@pytest.mark.parametrize("work, said", [("in_c", b""), ("kept", b"kept True\n"), ("twice", b"")])
def test_ctrl_c_ends_at_once_unless_something_is_kept(work, said):
    """Also where Python waits for a function in C, as for a compiler; the second one in any case."""
    out = call(f"{work}()", before=WAITING)
    assert out.returncode == 130 and (out.stdout, out.stderr) == (said, b"stopped by Ctrl-C\n")


def test_who_listens_to_ctrl_c_already_keeps_it():
    """A validation within a training leaves it to the training, which saves."""
    came = []
    before = signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        with Interruption() as stop:
            os.kill(os.getpid(), signal.SIGINT)
        assert came == [True] and not stop.came
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_error_of_the_system_names_the_file_first(capsys):
    def main(_):
        raise OSError(28, "No space left on device", "/full/x.npz")

    _, _, err = outcome(main, capsys)
    assert err.startswith("error: /full/x.npz: No space left on device: make room, or name another")


def test_paths_of_the_command_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path("~/runs/x") == tmp_path / "runs/x" and path("a/~") == Path("a/~")
    assert source_path("~/x.npz:test") == tmp_path / "x.npz" and source_path("a.png") == Path(
        "a.png"
    )
    assert source_path("X.NPZ:test") == Path("X.NPZ")  # as the readers take it
    assert file_path("~/p.csv") == tmp_path / "p.csv"
    with pytest.raises(common.argparse.ArgumentTypeError, match="names a folder: name a file"):
        file_path("predictions/")
    with pytest.raises(ValueError, match="empty"):
        path("")


def test_every_path_of_every_command_is_looked_up():
    """``type=Path`` would make a folder called ``~``."""
    sources = [*ROOT.glob("msflow_jax/commands/*.py"), *ROOT.glob("tools/*.py")]
    assert [p.name for p in sources if "type=Path" in p.read_text(encoding="utf-8")] == []
    library = ROOT.joinpath("msflow_jax").rglob("*.py")
    direct = {
        p.name for p in [*library, *sources] if "expanduser()" in p.read_text(encoding="utf-8")
    }
    assert direct == {"places.py"}


def test_a_warning_of_one_text_is_said_once_and_the_users_filters_win():
    """Training and its evaluation read the same table, by two functions."""
    work = "[(warnings.warn(w), warnings.warn(w)) for w in ('a', 'b', 'a')]"
    assert call(work, before="import warnings").stderr == b"warning: a\nwarning: b\nstatus 0"
    out = call(work, before="import warnings", PYTHONWARNINGS="ignore")
    assert out.stderr == b"status 0"


def test_the_traceback_is_offered_where_the_words_are_not_ours(capsys):
    def library(_):
        int("x")

    def missing(_):
        Path("/nowhere/x").read_text(encoding="utf-8")

    assert "(--debug shows the traceback)" in outcome(library, capsys)[2]
    for main in (missing, lambda _: path("")):
        status, _, err = outcome(main, capsys)
        assert status == 2 and "--debug" not in err


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        *((name, "--images=") for name in READERS), ("retrieve", "--among="),
        ("evaluate", "--outside="), ("classify", "--workdir="), ("classify", "--output="),
        ("answer", "--questions="),
    ],
)  # fmt: skip
def test_an_empty_path_is_not_the_current_folder(name, flag, command):
    """As of a variable of the shell that is not set."""
    done = command(name, flag)
    assert done.status == 2
    assert f"argument {flag[:-1]}: the path is empty: name a file or a folder, or write" in done.err


def test_weights_of_an_empty_name_are_not_the_current_folder(tmp_path, command):
    done = command("convert_vae", "", str(tmp_path / "v"))
    assert done.status == 2 and "the path is empty" in done.err
