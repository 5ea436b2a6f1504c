"""Settings, seeds, counts and levels that a caller gives in Python, and what an evaluation says."""

import dataclasses
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest

from msflow_jax.config import default_config
from msflow_jax.coupling.family import FAMILY
from msflow_jax.coupling.parts import CouplingParts
from msflow_jax.data import Info
from msflow_jax.inference.abstain_verbs import cautions
from msflow_jax.inference.calibration import Calibration, measure_thresholds
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.kinds import learn_reference
from msflow_jax.settings import ANY, COUNT, SEED, Setting, like, whole_number
from msflow_jax.training.sequence import read_params
from tests.coupling.tiny_flows import plain_flow, shaken

INFO = Info("x", ("a", "b"), 1, 4, "binary-class", "", "", "", (), ("inside", "outside"))
X = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def flow():
    model, config = plain_flow(classes=("a", "b")), default_config("coupling")
    config.sample.classify.draws = 2
    return Flow(Path("runs/w"), config, INFO, FAMILY, CouplingParts(), model, shaken(model), step=4)


@pytest.fixture(scope="module")
def evaluated(flow):
    """The same after an evaluation with two draws."""
    found = flow.classify(X)
    outside = learn_reference(found)
    known = Calibration({"draws": 2}, thresholds=measure_thresholds(found), outside=outside)
    return dataclasses.replace(flow, calibration=dataclasses.replace(known, step=4, name="test"))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda f: f.classify(X, draws=2.5), "draws must be a whole number such as 1, got 2.5"),
        (lambda f: f.classify(X, draws="8"), "draws must be a whole number .* got '8'"),
        (lambda f: f.classify(X, draws=True), "draws must be a whole number .* got True"),
        (
            lambda f: f.classify(X, draws=np.array([2, 3])),
            "draws must be a whole number .* got arr",
        ),
        (lambda f: f.classify(X, draws=-1), "draws must be at least 1, got -1"),
        (
            lambda f: f.classify(X, seed=2**32),
            r"seed must lie in \[0, 4294967295\], got 4294967296",
        ),
        (lambda f: f.classify(X, seed=-1), "seed must lie in .* got -1"),
        (lambda f: f.classify(X, seed=1.5), "seed must be a whole number .* got 1.5"),
        (lambda f: f.classify(X, seed="1"), "seed must be a whole number .* got '1'"),
        (lambda f: f.classify(X, seed=jax.random.key(0)), "seed must be a whole number"),
        (lambda f: f.generate("a", 1.5), "count must be a whole number .* got 1.5"),
        (lambda f: f.generate("a", 0), "count must be at least 1, got 0"),
        (lambda f: f.generate("a", temperature=np.nan), "temperature must be a finite .* got nan"),
        (lambda f: f.generate("a", temperature=np.inf), "temperature must be a finite .* got inf"),
        (lambda f: f.generate("a", temperature="1"), "temperature must be a finite .* got '1'"),
        (lambda f: f.generate("a", temperature=-1), "temperature must be at least 0, got -1"),
        (lambda f: f.explain(X, "a", "b", spread=3), "spread must be text such as 'block', got 3"),
    ],
)
def test_what_is_no_setting_is_refused_by_its_name(flow, call, message):
    with pytest.raises(ValueError, match=message):
        call(flow)


def test_numbers_of_numpy_are_numbers(flow):
    wanted = flow.classify(X, draws=3, seed=7).distances
    found = flow.classify(X, draws=np.int64(3), seed=np.uint32(7))
    np.testing.assert_array_equal(found.distances, wanted)
    assert found.requested == (("draws", 3),) and flow.classify(X).requested == ()
    drawn = flow.generate([0, 1], np.int32(2), temperature=np.float32(0.5), seed=2**32 - 1)
    assert drawn.shape == (4, 4, 4, 1)


def test_values_of_the_type_of_the_usual_one():
    assert like("steps", np.int8(3), 5) == 3 and type(like("steps", np.int8(3), 5)) is int
    assert like("guidance", 2, 1.0) == 2.0 and like("solver", "heun", "euler") == "heun"
    assert like("instruction", (1, 2), ()) == (1, 2) and like("x", "y", None) == "y"
    setting = Setting("[0, 1)", "")
    assert like("share", 0.5, 0.0, setting) == 0.5
    for name, value, usual, allowed, message in (
        ("steps", 2.0, 5, ANY, "steps must be a whole number such as 1, got 2.0"),
        ("share", 1.5, 0.0, setting, r"share must lie in \[0, 1\), got 1.5"),
        ("solver", 3, "euler", ANY, "solver must be text such as 'euler', got 3"),
        ("guidance", [1.0, 2.0], 1.0, ANY, "guidance must be a finite number"),
    ):
        with pytest.raises(ValueError, match=message):
            like(name, value, usual, allowed)
    assert whole_number("seed", 0, SEED) == 0
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        whole_number("count", 0, COUNT)


def test_one_label_for_all_images(flow):
    wanted = flow.explain(X, ["a"] * 3, ["b"] * 3)
    for labels, others in (("a", "b"), (0, 1), (np.int64(0), ["b"] * 3)):
        np.testing.assert_array_equal(flow.explain(X, labels, others).map, wanted.map)
    with pytest.raises(ValueError, match="unknown class 'scanner A': this model knows 0 = a"):
        flow.explain(X, "scanner A", "b")
    with pytest.raises(ValueError, match="3 images need as many labels and others"):
        flow.explain(X, ["a"], "b")


def test_levels_and_coverages_that_are_none(evaluated, flow):
    for of in (evaluated, flow):
        found = of.classify(X)
        for level in (2, -1, 1):
            with pytest.raises(ValueError, match=r"level \(--outside\) must lie in \[0, 1\), got"):
                of.abstains(found, level=level)
        with pytest.raises(ValueError, match=r"coverage \(--keep\) must lie in \(0, 1\], got 90"):
            of.abstains(found, coverage=90)


def test_thresholds_measured_otherwise_are_named(evaluated, flow):
    found = evaluated.classify(X, draws=1)
    words = (
        "^draws=1, but thresholds, sets and p-values were measured with 2: msflow evaluate "
        "--draws=1 --name=NAME --adopt measures them so"
    )
    for call in (evaluated.abstains, evaluated.rejections):
        with pytest.warns(UserWarning, match=words) as told:
            call(found, level=0)
        assert len(told) == 1 and told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert flow.abstains(found) is None  # without an evaluation there is nothing to say
        for same in (evaluated.classify(X), evaluated.classify(X, draws=2)):
            assert evaluated.abstains(same, level=0).shape == (3,)
    with pytest.warns(UserWarning, match="^3 validation images are too few to tell"):
        evaluated.abstains(evaluated.classify(X))


def test_a_command_has_its_own_words(evaluated):
    found = evaluated.classify(X)
    (line,) = cautions(evaluated, found, 0, {"draws": 1, "steps": None}, "--")
    assert line.startswith("--draws=1, but") and "with 2: evaluate --draws=1" in line
    assert cautions(evaluated, found, 0, {}) == []


def test_a_run_of_one_stage_has_no_stages(tmp_path):
    with pytest.raises(ValueError, match="no stage 'zzz': it was trained in one, without a name"):
        read_params(tmp_path, "val_auc", "zzz")
