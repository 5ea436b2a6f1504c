"""Blocks of the classification: what thresholds keep of each class, and subgroups of any column."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict

from msflow_jax.config import default_config
from msflow_jax.data import Split, Splits
from msflow_jax.evaluation import generation
from msflow_jax.families import get_family
from msflow_jax.inference import privacy_section, sections
from msflow_jax.inference.calibration import Calibration
from msflow_jax.inference.evaluation import Evaluation
from msflow_jax.inference.prediction import Prediction


@dataclasses.dataclass
class OpenedFlow:
    """As much of a flow as these blocks need."""

    info: SimpleNamespace
    calibration: Calibration
    classes: tuple[str, ...] = ("mild", "severe")
    config: ConfigDict = dataclasses.field(default_factory=default_config)
    model: SimpleNamespace = dataclasses.field(default_factory=SimpleNamespace)


@pytest.fixture
def run():
    """An evaluation of 40 images whose predictions are known."""
    labels = np.repeat([0, 1], 20)
    near = np.where(labels == 0, 0.4, 0.1)[:, None] * np.ones(2)
    distances = np.stack([near[:, 0], 1 - near[:, 1]], axis=1)
    distances[labels == 1] = distances[labels == 1, ::-1]
    p = np.exp(-4 * distances) / np.exp(-4 * distances).sum(1, keepdims=True)
    truth = {"site": np.array(["A", "B"] * 20), "age": np.linspace(20, 80, 40)}
    images, names = np.zeros((40, 2, 2, 1), np.uint8), tuple(map(str, range(40)))
    split = Split.of_images(images, labels.astype(np.int32), names, truth=truth)
    flow = OpenedFlow(SimpleNamespace(ordered=True), Calibration())
    made = Evaluation(flow, {"test": split}, "test", by=("site", "age"))
    made.prediction = Prediction(distances[None], p[None], None, None, None)
    made.calibration = Calibration(
        thresholds={"coverage": [0.05, 1.0], **{k: [0.2, 0.2] for k in made.prediction.uncertainty}}
    )
    return made


def test_what_the_thresholds_keep_of_each_class(run):
    found = sections._abstention(run)
    assert found["coverage"] == 0.8 and set(found["measures"]) == set(run.prediction.uncertainty)
    kept = {row["name"]: row["kept"] for row in found["measures"]["distance"]["classes"]}
    assert kept == {"mild": 0.0, "severe": 1.0}


def test_subgroups_of_texts_and_numbers(run):
    found = sections._subgroups(run)
    assert [(row["value"], row["images"]) for row in found["site"]] == [("A", 20), ("B", 20)]
    assert len(found["age"]) == 4 and "quadratic_kappa" in found["age"][0]


def test_a_column_that_is_not_there_is_refused_before_the_work(run):
    with pytest.raises(ValueError, match="--by=sex: the test split has no .* it has site, age"):
        Evaluation(run.flow, run.splits, "test", by=("sex",))


class Mirrored(Exception):
    """Holds the axes along which training images are looked for."""


@pytest.mark.parametrize("flips", [True, False])
def test_training_images_are_looked_for_mirrored_where_training_mirrored(run, monkeypatch, flips):
    def stop(*given, flips, **_):
        raise Mirrored(flips)

    monkeypatch.setattr(generation, "evaluate_generation", stop)
    monkeypatch.setattr(privacy_section, "neighbour_ratios", lambda *given: given[3])
    run.flow.info.flips, run.flow.config.train.flips = ("vertical",), flips
    run.splits = Splits(*3 * (run.chosen,), run.flow.info)
    run.samples, run.features_of = (run.chosen.images, run.chosen.labels), lambda *_: None
    run._raw["val"] = run.prediction
    wanted = ("vertical",) if flips else ()
    with pytest.raises(Mirrored) as found:
        sections.Generation()(run)
    assert found.value.args[0] == wanted
    assert privacy_section.Privacy()(run)[0]["neighbours"] == wanted


@pytest.mark.parametrize("name", ["symmetric", "coupling"])
def test_without_images_to_draw_nothing_is_drawn(name):
    config = default_config(name)
    drawing = {"generation", "privacy", "temperatures"}
    every = [one.name for one in get_family(name).sections(config)]
    config.sample.generate.per_class = 0
    left = [one.name for one in get_family(name).sections(config)]
    assert "generation" in every and left == [one for one in every if one not in drawing]
