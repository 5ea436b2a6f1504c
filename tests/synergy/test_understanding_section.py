"""Questions that cannot be made are a remark of an evaluation where none of them was taught."""

from types import SimpleNamespace

import numpy as np
import pytest

from msflow_jax.synergy import understanding_section
from msflow_jax.synergy.answering import QUESTION
from msflow_jax.synergy.understanding_section import Answers
from tests.synergy import tiny


@pytest.mark.parametrize("taught", [(), ("selection", "instruction")])
def test_too_few_routes_to_describe(monkeypatch, taught):
    """Two modalities, of which one route is withheld."""
    monkeypatch.setattr(understanding_section, "_probe", lambda run, chosen: {})
    settings, splits = tiny.config(modalities=("t1w", "ct")), tiny.splits()
    settings.model.tasks.withhold = ("ct-t1w",)
    model = SimpleNamespace(taught=taught)
    flow = SimpleNamespace(config=settings, step=1, model=model, parts=tiny.parts())
    run = SimpleNamespace(flow=flow, chosen=splits.val, split="val", splits={"val": splits.val})
    if taught:  # it was trained on what cannot be asked: not this data
        with pytest.raises(ValueError, match="1 routes can be described"):
            Answers(8)(run)
        return
    block, _ = Answers(8)(run)
    assert "1 routes can be described" in block["left_out"] and block["tasks"] == {}


@pytest.mark.parametrize("crossed", [False, True])
def test_questions_of_the_images_that_temperatures_are_fitted_on_are_scaled_by_other_subjects(
    crossed,
):
    rng = np.random.default_rng(0)
    count = 60
    batch = {
        "task": np.full(count, QUESTION), "answer": rng.integers(0, 4, count),
        "route": np.ones((count, 2), int),
    }  # fmt: skip
    logits = 3 * rng.normal(size=(count, 4)) + 2 * np.eye(4)[batch["answer"]]
    subjects = np.arange(count) // 4
    asked = SimpleNamespace(tasks=SimpleNamespace(names=("t1w", "ct")))

    def calibration(known):
        found = [{"choice": logits}, {"choice": known}]
        form = understanding_section._form(
            "choice", [batch, batch], found, QUESTION, subjects, asked, crossed
        )
        return form["calibration"]

    one, other = calibration(logits), calibration(5 * logits)
    assert other["temperature"] > 2 * one["temperature"] and one["ece"] == other["ece"]
    assert (one["ece_calibrated"] == other["ece_calibrated"]) is crossed
