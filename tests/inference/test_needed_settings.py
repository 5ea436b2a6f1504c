"""Settings of training that change what a trained model says are tied to its checkpoints."""

import json

import pytest

from tests.inference.test_stored import check, make

NEEDED = ("select", "crop", "balanced", "calibrate_every")


@pytest.mark.parametrize("name", NEEDED)
def test_an_edit_of_one_is_refused(tmp_path, name):
    make(tmp_path)
    file = tmp_path / "config.json"
    content = json.loads(file.read_text())
    before = content["train"][name]
    content["train"][name] = "-val_nll" if name == "select" else type(before)(not before)
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"config.json has train.{name}=.* restore the file"):
        check(tmp_path)


def test_runs_from_before_a_setting_open(tmp_path):
    """Which then neither their configuration nor their checkpoint has."""
    make(tmp_path)
    files = tmp_path / "config.json", tmp_path / "checkpoints" / "4" / "facts" / "metadata"
    for file in files:
        content = json.loads(file.read_text())
        train = content.get("made", {}).get("config", content)["train"]
        for name in NEEDED:
            del train[name]
        file.write_text(json.dumps(content))
    check(tmp_path)
    assert json.loads(files[1].read_text())["made"]["config"]["train"].keys() & {*NEEDED} == set()
