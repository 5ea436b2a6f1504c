"""Numbers on the command line are refused before anything is read, by every flag of every command."""

import importlib
import sys
from pathlib import Path

import pytest

from msflow_jax.commands.common import parser
from msflow_jax.commands.main import commands
from msflow_jax.commands.numbers import fraction, whole

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from reference_commands import parser_of


@pytest.mark.parametrize("name", commands())
def test_every_number_of_a_command_has_its_range(name):
    module = importlib.import_module(f"msflow_jax.commands.{commands()[name].stem}")
    for flag in parser_of(module.main)._actions:
        if flag.type in (int, float):
            assert flag.choices or hasattr(flag, "takes"), flag.option_strings


@pytest.mark.parametrize(
    "given, says",
    [
        (["--draws=0"], "--draws must be at least 1, got 0"),
        (["--draws=-1"], "--draws must be at least 1, got -1"),
        (["--keep=nan"], r"--keep must lie in \(0, 1\], got nan"),
        (["--window", "0", "inf"], "--window must be finite, got inf"),
    ],
)
def test_what_is_refused(given, says):
    flags = parser("")
    flags.add_argument("--draws", **whole())
    flags.add_argument("--keep", **fraction("(0, 1]"), default=0.8)
    flags.add_argument("--window", **fraction("(-inf, inf)"), nargs=2)
    with pytest.raises(ValueError, match=says):
        flags.parse_args(given)
    found = flags.parse_args(["--draws=2", "--window", "0", "3"])
    assert (found.draws, found.keep, found.window) == (2, 0.8, [0.0, 3.0])
    assert flags.parse_args([]).draws is None
