"""Probabilities of equally frequent classes, fitted and judged on images of another mix."""

import json
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from msflow_jax.data import Split
from msflow_jax.evaluation.scaling import Scaling, cross_fit, fit_scaling
from msflow_jax.inference.abstain_verbs import cautions
from msflow_jax.inference.calibration import Calibration, _parse
from msflow_jax.inference.evaluation import Evaluation
from msflow_jax.inference.prediction import Prediction
from msflow_jax.inference.sections import Classification, Scaled
from msflow_jax.inference.settings import image_weights, of_another_mix, of_equal_classes
from msflow_jax.reports.classification import classification_section
from msflow_jax.reports.headlines import headlines
from msflow_jax.reports.results import Results
from msflow_jax.reports.summary import summary_section
from tests.evaluation.test_calibration import uneven
from tests.inference.test_sections import OpenedFlow

PRIORS = {"natural": {}, "uniform": {"prior": "uniform"}, "balanced": {"balanced": True}}


@dataclass
class Opened(OpenedFlow):
    """A flow of parameters that are of a step."""

    step: int = 3


def opened(prior="natural", balanced=False, **settings):
    """A flow that classifies by this prior."""
    flow = Opened(SimpleNamespace(ordered=False), Calibration())
    flow.config.sample.classify.update({"prior": prior, **settings})
    flow.config.train.balanced = balanced
    return flow


def predicted(logs, density=False, in_nats=False):
    """One draw of log-probabilities ``[N, K]``."""
    count = len(logs)
    return Prediction(
        -logs[None], np.exp(logs)[None], logs.argmax(axis=1)[None], np.ones(1), np.ones((1, count)),
        np.zeros((1, count)) if density else None, ("mild", "severe"), in_nats=in_nats,
    )  # fmt: skip


def evaluated(flow, split, density=False, in_nats=False, **sets):
    """An evaluation of ``split`` whose predictions of these sets of labels and logarithms are known."""
    splits = {
        name: Split.of_images(
            np.random.default_rng(i).integers(0, 256, (len(labels), 2, 2, 1), dtype=np.uint8),
            labels.astype(np.int32), tuple(map(str, range(len(labels)))),
        )
        for i, (name, (labels, _)) in enumerate(sets.items())
    }  # fmt: skip
    run = Evaluation(flow, splits, split)
    run._raw = {name: predicted(logs, density, in_nats) for name, (_, logs) in sets.items()}
    return run


def sections(run):
    """Blocks of the sections on classification and calibration."""
    return {one.name: one(run)[0] for one in (Classification(), Scaled())}


@pytest.mark.parametrize("split", ["test", "val"])
@pytest.mark.parametrize("prior", PRIORS)
def test_the_temperature_and_what_judges_it_are_of_the_frequencies_of_the_probabilities(
    prior, split
):
    sets = {"val": uneven(2000, (0.9, 0.1)), "test": uneven(1500, (0.8, 0.2), 1)}
    run = evaluated(opened(**PRIORS[prior]), split, **sets)
    found, known = sections(run), run.calibration
    measured, scaled = found["classification"], found["calibration"]
    words = "Calibration error, Brier score and negative log-likelihood: classes weighed as equally"
    told = [note for note in measured["notes"] if note.startswith(words)]
    if prior == "natural":
        labels, logs = sets["val"][0], run.raw("val").log_probabilities
        assert known.temperature == fit_scaling(labels, logs).temperature < 0.7
        assert not told and "weighed" not in {**measured, **scaled, **known.to_dict()}
        one = Scaling(known.temperature) if split == "test" else cross_fit(labels, logs, None)
        expected = predicted(sets[split][1]).scaled(one).probabilities
        np.testing.assert_array_equal(run.prediction.probabilities, expected)
        return
    assert known.temperature == pytest.approx(1, abs=0.1)
    np.testing.assert_allclose(run.cross_fitted.probability, np.exp(sets["val"][1]), atol=0.05)
    assert max(scaled["ece_before"], scaled["ece_after"], measured["ece"]) < 0.05
    assert len(told) == 1 and measured["weighed"] and scaled["weighed"]
    assert measured["accuracy"] == np.mean(run.prediction.prediction == sets[split][0])


def test_a_class_without_images_has_no_weight():
    flow = opened("uniform")
    weights = image_weights(flow, np.array([2, 0, 0, 2, 2, 2]))
    np.testing.assert_allclose(weights, np.array([0.75, 1.5, 1.5, 0.75, 0.75, 0.75]))
    for labels in ([1, 1, 1], [0, 2, 2, 0]):  # alike as they are
        assert image_weights(flow, np.array(labels)) is None
    run = evaluated(flow, "test", val=uneven(40, (1, 0)), test=uneven(40, (0.8, 0.2)))
    assert run.calibration.temperature > 0 and sections(run)["classification"]["weighed"]


def test_which_probabilities_are_of_equal_classes():
    flow = opened(balanced=True)
    assert of_equal_classes(flow) and not of_equal_classes(opened())
    flow.model.class_prior = (0.9, 0.1)  # a density has the classes' frequencies beside it
    assert not of_equal_classes(flow)
    # Its biases bring the frequencies back that the split has.
    assert not of_equal_classes(opened(balanced=True, calibration="vector"))


def test_an_evaluation_of_before_asks_to_be_made_again():
    thresholds = {"coverage": [1.0], "distance": [0.5]}
    uniform, found = {"prior": "uniform"}, predicted(uneven(20, (0.5, 0.5))[1])
    flow = opened()
    flow.calibration = Calibration(uniform, 0.48, thresholds=thresholds, step=3, name="test")
    line = "the evaluation test (step 3) is of an earlier version: its temperature 0.48 was fitted"
    assert any(one.startswith(line) for one in cautions(flow, found, 0.0, {}))
    for other in (
        Calibration(uniform, 0.48, thresholds=thresholds, name="test", weighed=True),
        Calibration(uniform, 1.0, thresholds=thresholds, name="test"),
        Calibration({"prior": "natural"}, 0.48, thresholds=thresholds, name="test"),
        Calibration(uniform, 0.48),  # no evaluation
    ):
        flow.calibration = other
        assert not of_another_mix(flow)


def test_how_an_evaluation_was_fitted_is_kept():
    for weighed in (True, False):
        kept = Calibration({"prior": "uniform"}, 0.9, step=3, weighed=weighed).to_dict()
        assert ("weighed" in kept) == weighed
        assert _parse(json.loads(json.dumps({"learned": kept})), "test").weighed == weighed
    with pytest.raises(TypeError, match="weighed is neither true nor false"):
        _parse({"learned": {"weighed": 1}}, "test")


def test_the_report_says_how_classes_count():
    sets = {"val": uneven(400, (0.9, 0.1)), "test": uneven(300, (0.8, 0.2), 1)}
    for prior in ("uniform", "natural"):
        blocks = sections(evaluated(opened(prior), "test", **sets))
        found = {"split": "test", "sections": list(blocks), **blocks}
        results = Results(name="w", evaluation=found)
        weighed = prior == "uniform"
        text = " ".join(str(classification_section(results).html).split())
        assert text.count("lasses weighed as equally frequent, as the probabilities are.") == (
            2 * weighed
        )
        assert ("ECE, 0 is best; classes weighed alike" in summary_section(results).html) == weighed
        ece = [line for line in headlines(found) if line.startswith("test ece ")]
        assert len(ece) == 1 and ("(classes weighed alike)" in ece[0]) == weighed


@pytest.mark.parametrize("density", [True, False])
def test_only_the_temperature_of_densities_has_no_prior(density):
    """A softmax is in nats too, as SynerMedGen's: 12 images, one of them wrong by a hair."""
    gaps = np.array([1.5, 1.2, 2, 0.8, 1, 1.6, 2.2, 1.1, 0.9, 1.3, 1.8, -0.02])
    logs = -np.log1p(np.exp(-np.stack([gaps, -gaps], axis=1)))
    labels = np.zeros(12, int)
    run = evaluated(opened(), "val", density, in_nats=True, val=(labels, logs))
    wanted = fit_scaling(labels, logs[None], ratios=density)
    assert run.calibration.temperature == wanted.temperature
    assert (wanted.temperature < 0.2) == density
    expected = predicted(logs, density, True).scaled(
        cross_fit(labels, logs[None], None, ratios=density)
    )
    np.testing.assert_array_equal(run.prediction.probabilities, expected.probabilities)
