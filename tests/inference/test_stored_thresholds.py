"""What an evaluation has learned is applied to the parameters it was measured on, and unedited."""

import pytest

from msflow_jax import workdir
from msflow_jax.inference.calibration import Calibration, read_calibration


def learned(**changes):
    own = {
        "settings": {"draws": 3, "steps": 1, "prior": "uniform", "solver": "euler"},
        "temperature": 2.0, "step": 4,
        "thresholds": {"coverage": [0.5, 1.0], "distance": [0.1, 0.3]},
    }  # fmt: skip
    return {"split": "test", "learned": {**own, **changes}}


def test_thresholds_of_other_parameters_are_not_applied(tmp_path):
    workdir.write_json(tmp_path / "evaluation.json", learned())
    assert read_calibration(tmp_path, 4).threshold("distance", 0.5) == 0.1
    assert str(read_calibration(tmp_path, 4)) == "test (step 4)"
    found = read_calibration(tmp_path, 6)
    assert not found.known and found.temperature == 1 and not found.settings and str(found) == ""
    assert found.reason == "the evaluation 'test' is of step 4, the parameters of step 6"


def test_thresholds_of_another_training_to_the_same_step_are_not_applied(tmp_path):
    found = {**learned(), "settings": {"parameters": "b" * 16}}
    workdir.write_json(tmp_path / "evaluation.json", found)
    for digest in ("", "b" * 16):
        assert read_calibration(tmp_path, 4, digest=digest).temperature == 2
    other = read_calibration(tmp_path, 4, digest="a" * 16)
    assert not other.known and other.temperature == 1 and other.of_other_step
    words = "is of an earlier training to step 4, the parameters of another one"
    assert other.reason == f"the evaluation 'test' {words}"


def test_an_edited_threshold_is_not_applied(tmp_path):
    kept = learned()["learned"]
    kept = Calibration(**kept).to_dict()
    workdir.write_json(tmp_path / "evaluation.json", {"split": "test", "learned": kept})
    assert read_calibration(tmp_path, 4).temperature == kept["temperature"]
    for change in ({"temperature": 1.5}, {"thresholds": {"coverage": [0.5], "distance": [9.0]}}):
        workdir.write_json(
            tmp_path / "evaluation.json", {"split": "test", "learned": {**kept, **change}}
        )
        with pytest.raises(ValueError, match=r"`learned` is not what was measured"):
            read_calibration(tmp_path, 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": "hot"}, {"temperature": 0}, {"step": "4"}, {"settings": [1]},
        {"settings": {"draws": "3"}}, {"settings": {"draws": 3.5}}, {"thresholds": {"coverage": 1}},
        {"thresholds": {"coverage": [0.5], "distance": [1, 2]}}, {"more": 1},
        {"thresholds": {"coverage": [1.0, 0.5], "distance": [1, 2]}},
    ],
)  # fmt: skip
def test_an_evaluation_of_other_types_is_named(tmp_path, changes):
    workdir.write_json(tmp_path / "evaluation.json", learned(**changes))
    with pytest.raises(
        ValueError, match=r"evaluation.json is damaged .*evaluate the workdir again"
    ):
        read_calibration(tmp_path, 4, {"draws": 8})
