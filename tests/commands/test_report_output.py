"""What ``report`` writes: over tables of earlier calls alone; one draw agrees with nothing."""

import csv

import numpy as np
import pytest

from msflow_jax.commands.report import _of_reports
from msflow_jax.inference.reported import rows_of
from msflow_jax.storage.jsons import read_object, write_json
from msflow_jax.storage.text import write_csv


@pytest.mark.parametrize(
    "content", ['{"labels": [1]}', '{"reports": [1]}', '{"reports": 3}', "[]", "{"]
)
def test_another_json_stays(content, tmp_path, command, monkeypatch):
    from msflow_jax import workdir

    monkeypatch.setattr(workdir, "open_workdir", lambda *_: pytest.fail("the work has begun"))
    file = tmp_path / "mine.json"
    file.write_text(content)
    given = (f"--workdir={tmp_path / 'w'}", "--images=x", "--source=xray", f"--output={file}")
    out = command("report", *given)
    assert out.status == 2 and "exists and is not what this command writes" in out.err
    assert file.read_text() == content


def test_one_draw_agrees_with_nothing(tmp_path):
    one, two = (
        rows_of(["a.png"], "trained", [["The ventricles are wide."]] * draws, np.zeros((draws, 1)))
        for draws in (1, 2)
    )
    assert one[0]["agreement"] is None and two[0]["agreement"] == 1.0
    with write_csv(tmp_path / "r.csv", one).open() as file:
        (row,) = csv.DictReader(file)
    assert row["agreement"] == ""
    write_json(tmp_path / "r.json", {"reports": one})
    assert _of_reports(tmp_path / "r.json")
    assert read_object(tmp_path / "r.json")["reports"][0]["agreement"] is None
