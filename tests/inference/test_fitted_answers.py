"""Answers take their temperatures from an evaluation of the very parameters that answer."""

import dataclasses
import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from msflow_jax.inference.answered import ANSWERS, replies_to, temperatures
from msflow_jax.inference.calibration import Calibration
from msflow_jax.inference.flow import Flow
from msflow_jax.synergy.family import FAMILY
from tests.synergy import tiny

STEP = 30


def flow(workdir):
    return SimpleNamespace(path=workdir, step=STEP, answer=lambda arrays, description: None)


def asked():
    """What it is told of the evaluation, in place of replies."""
    return SimpleNamespace(arrays={}, replies=lambda found, model, form, fitted: fitted)


def keep(workdir, name, step, stage="", parameters="", understanding=None):
    """An evaluation; of answers by default, without them where it is False."""
    sections = {} if understanding is False else {"understanding": understanding or {}}
    folder = workdir / "evaluations" / name
    folder.mkdir(parents=True)
    settings = {"step": step, "stage": stage, "parameters": parameters}
    content = {"split": "test", "settings": settings, "mark": name, **sections}
    (folder / "evaluation.json").write_text(json.dumps(content))


def taken(workdir, digest=""):
    opened = flow(workdir)
    opened.digest = digest
    opened.model = None
    return replies_to(opened, asked(), "direct").get("mark")


def test_without_an_evaluation_none_is_missed(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert taken(tmp_path) is None


def test_the_one_of_this_step_is_taken(tmp_path):
    keep(tmp_path, "a_before", 20)
    keep(tmp_path, "b_stage", STEP, "understand")
    keep(tmp_path, "c_now", STEP)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert taken(tmp_path) == "c_now"


@pytest.mark.parametrize(("step", "stage"), [(20, ""), (STEP, "understand")])
def test_other_parameters_calibrate_nothing(tmp_path, step, stage):
    keep(tmp_path, "before", step, stage)
    with pytest.warns(UserWarning, match=f"no evaluation is of step {STEP} .*before.*calibrated"):
        assert taken(tmp_path) is None


def test_one_of_another_training_to_the_same_step_calibrates_nothing(tmp_path):
    keep(tmp_path, "before", STEP, parameters="b" * 16)
    words = f"no evaluation is of step {STEP} of this training .*before.*calibrated"
    with pytest.warns(UserWarning, match=words):
        assert taken(tmp_path, "a" * 16) is None
    keep(tmp_path, "now", STEP, parameters="a" * 16)
    assert taken(tmp_path, "a" * 16) == "now"


def test_one_that_measured_no_answers_calibrates_none(tmp_path):
    keep(tmp_path, "drawing", STEP, understanding=False)
    with pytest.warns(UserWarning, match=r"with answers \(drawing\).*not calibrated"):
        assert taken(tmp_path) is None


def test_temperatures_of_answers_are_given_away():
    forms = {"direct": {"calibration": {"temperature": 2.5}, "accuracy": 0.5}, "letter": {}}
    found = {"understanding": {"tasks": {"selection": forms}}}
    assert temperatures(found) == {"selection/direct": 2.5}
    assert temperatures({ANSWERS: temperatures(found)}) == {"selection/direct": 2.5}


def test_images_are_identified_as_surely_as_panels_of_a_question(tmp_path):
    """The logits are the same, and so is their temperature."""
    model = dataclasses.replace(tiny.model(), taught=("identification",))
    opened = Flow(
        tmp_path, tiny.config(), tiny.splits().info, FAMILY, tiny.parts(), model,
        tiny.params(size=0.3), STEP, Calibration(),
    )  # fmt: skip
    images = np.random.default_rng(0).integers(0, 256, (4, tiny.SIDE, tiny.SIDE, 1), np.uint8)
    files = [Path(f"{i}.png") for i in range(4)]

    def said():
        asked = opened.parts.ask_of("identification", files, lambda some: images, model)
        return np.array(replies_to(opened, asked, "direct")[0]["panels"]), opened.identify(images)

    panels, chances = said()
    np.testing.assert_allclose(chances, panels, atol=1e-5)
    fitted = {"identification": {"name": {"calibration": {"temperature": 5.0}}}}
    keep(tmp_path, "now", STEP, understanding={"tasks": fitted})
    softer, found = said()
    np.testing.assert_allclose(found, softer, atol=1e-5)
    root = chances ** (1 / 5)
    np.testing.assert_allclose(found, root / root.sum(axis=1, keepdims=True), atol=1e-5)
