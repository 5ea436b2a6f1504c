"""Figures that are given away with a model: of its own step, and without names of somebody's folders."""

import json
from contextlib import nullcontext

import pytest

from msflow_jax.commands.push import push
from msflow_jax.storage import evaluations
from tests.kept import unpack


@pytest.mark.parametrize("step", [0, 5])
def test_a_report_of_another_step_is_warned_of(tmp_path, capsys, step):
    workdir = unpack("segment", tmp_path)
    (workdir / "report").mkdir(exist_ok=True)
    (workdir / "report" / "index.html").write_text("figures")
    file = evaluations.place(workdir, evaluations.names(workdir)[0]) / evaluations.FILE
    found = json.loads(file.read_text())
    found.setdefault("settings", {})["step"] = step or found["settings"].get("step", 24)
    file.write_text(json.dumps(found))
    expected = pytest.warns(UserWarning, match="is of step 5") if step else nullcontext()
    with expected:
        push(workdir, "me/model", with_report=True, dry_run=tmp_path / "out")
    said = capsys.readouterr().err
    assert ("the report's figures are of step 5, the model is of step 24" in said) == bool(step)
