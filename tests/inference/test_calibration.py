"""What an evaluation learned: read once, the same for every command."""

import json
import warnings

import numpy as np
import pytest

from msflow_jax.inference.calibration import Calibration, measure_thresholds, read_calibration
from msflow_jax.inference.sets import check_sets
from tests.inference.test_prediction import prediction


def test_thresholds_keep_the_fraction_that_is_asked_for():
    found = prediction(np.random.default_rng(0).random((2, 400, 3)))
    calibration = Calibration(thresholds=measure_thresholds(found))
    for coverage in (0.01, 0.02, 0.05, 0.5, 0.8, 0.96, 0.97, 0.99, 1.0):
        for measure, values in found.uncertainty.items():
            kept = np.mean(values <= calibration.threshold(measure, coverage))
            assert kept == pytest.approx(coverage, abs=0.004), measure
    with pytest.raises(ValueError, match="is 0.005: the evaluation has thresholds from 0.01 on"):
        calibration.threshold("distance", 0.005)


def test_a_coarse_table_of_before_says_where_it_keeps_more():
    values = np.sort(np.random.default_rng(0).lognormal(size=1000))
    grid = np.linspace(0.05, 1, 20).round(2).tolist()
    table = {"coverage": grid, "distance": np.quantile(values, grid).tolist()}
    found = Calibration(thresholds=table, name="test")
    with pytest.warns(UserWarning, match="is 0.97: the evaluation 'test'.*evaluate again"):
        found.threshold("distance", 0.97)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for coverage in (0.05, 0.93, 0.95, 1.0):
            found.threshold("distance", coverage)


def test_without_an_evaluation_nothing_is_known(tmp_path):
    found = read_calibration(tmp_path)
    assert not found.known and found.temperature == 1 and found.threshold("distance", 0.8) is None
    with pytest.raises(ValueError, match=r"coverage \(--keep\) must lie in"):
        found.threshold("distance", 0)


def test_it_is_read_from_the_evaluation(tmp_path):
    content = {
        "settings": {"classify": {"draws": 3, "prior": "uniform"}, "step": 7},
        "calibration": {"temperature": 2.5},
        "abstain": {"coverage": [0.5, 1.0], "distance": [0.1, 0.3]},
    }
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    found = read_calibration(tmp_path)
    assert (found.settings["prior"], found.temperature, found.step) == ("uniform", 2.5, 7)
    assert found.threshold("distance", 0.75) == pytest.approx(0.2)
    with pytest.raises(
        ValueError, match="unknown uncertainty 'margin': the evaluation has distance"
    ):
        found.threshold("margin", 0.5)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"calibration": {"temperature": "hot"}}', '{"abstain": 3}']
)
def test_a_damaged_one_is_named(tmp_path, text):
    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(
        ValueError, match=r"evaluation.json is damaged .*evaluate the workdir again"
    ):
        read_calibration(tmp_path)


def test_sets_that_nothing_calibrated_name_the_command_that_does():
    with pytest.raises(ValueError, match="no sets: .* msflow evaluate --workdir='my run'$"):
        check_sets({}, 0.9, "my run")
