"""Ctrl-C at a command: one line, exit status 130, no traceback."""

import sys
from contextlib import nullcontext

import pytest

from msflow_jax.commands.common import run


@pytest.mark.parametrize("error, line", [(KeyboardInterrupt(), "stopped by Ctrl-C\n")])
def test_wherever_it_comes(error, line, capsys, monkeypatch):
    def main(arguments):
        raise error

    monkeypatch.setattr(sys, "argv", ["train"])
    with pytest.raises(SystemExit) as stopped:
        run(main)
    assert stopped.value.code == 130
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("status", [0, 130])
def test_a_training_that_saved_says_where(status, capsys, monkeypatch):
    from msflow_jax.training import Preempted

    def main(arguments):
        raise Preempted("stopped after step 5", status)

    monkeypatch.setattr(sys, "argv", ["train"])
    with pytest.raises(SystemExit) if status else nullcontext() as stopped:
        run(main)
    assert status == 0 or stopped.value.code == status
    assert capsys.readouterr().err == "stopped after step 5\n"
