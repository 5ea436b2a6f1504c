"""An export with other draws and steps than those evaluated says that its thresholds are not of them."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.inference.calibration import Calibration
from msflow_jax.inference.exporting import describe, leading_side
from msflow_jax.workdir import open_workdir


def test_thresholds_of_other_settings_are_said(trained, tmp_path, command):
    pytest.importorskip("flatbuffers")
    given = (f"--workdir={trained}", f"--output={tmp_path / 'e'}")
    out = command("export", *given, "--steps=3", "--draws=2")
    assert out.status == 0, out.err
    (line,) = json.loads((tmp_path / "e" / "export.json").read_text())["warnings"]
    assert line.startswith("--steps=3, but thresholds, sets and p-values were measured with 1: ")
    assert out.err.splitlines()[-1] == f"warning: {line}"


def test_where_the_model_lay_is_not_given_away(trained):
    why = f"no evaluation in the workdir (msflow evaluate --workdir={trained})"
    flow = dataclasses.replace(open_workdir(trained), calibration=Calibration(reason=why))
    facts = describe(flow, "classify", {})[2]
    assert facts["calibrated_by"] == "no evaluation in the workdir"


def test_those_of_the_evaluation_are_not(trained):
    flow = open_workdir(trained)
    settings = {name: flow.calibration.settings[name] for name in ("draws", "steps")}
    for requested in ({}, settings, {"draws": None, "steps": 0}):
        assert describe(flow, "classify", requested)[2]["warnings"] == []
    assert "warnings" not in describe(flow, "generate", {"steps": 3})[2]


def missing(x, *, target):
    return x


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (lambda x: jnp.zeros(int(x.shape[0])), ValueError, "give it by --batch"),
        (lambda x: x + np.zeros((x.shape[0], 3)), ValueError, "give it by --batch"),
        (lambda x: x[: x.shape[0] // 2 > 3], ValueError, "give it by --batch"),
        (missing, TypeError, "target"),
        (lambda x: jnp.sin("no array"), TypeError, "str"),
    ],
)
def test_only_errors_of_the_number_of_images_are_said_to_be_so(function, error, words):
    with pytest.raises(error, match=words), leading_side(0, "the program") as side:
        jax.export.export(jax.jit(function))(jax.ShapeDtypeStruct((side, 3), jnp.float32))
