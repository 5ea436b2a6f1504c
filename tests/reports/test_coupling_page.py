"""The page of a model with a likelihood: its own sections and words, and nothing of other models."""

import json
import re

import numpy as np
import pytest

from msflow_jax.evaluation import evaluate_classifier
from msflow_jax.evaluation.calibration import evaluate_calibration
from msflow_jax.evaluation.classification import LIKELIHOOD_CONVENTIONS
from msflow_jax.evaluation.likelihood import evaluate_likelihood
from msflow_jax.reports import build_report
from tests.reports.test_page import CLASSES, EVIL, Page, arrays, generation, make_workdir

SECTIONS = [
    *("summary", "data", "training", "classification", "cases", "samples", "generation"),
    *("likelihood", "explanation", "temperatures", "configuration"),
]


NAMES = [
    *("calibration", "abstain", "classification", "generation"),
    *("likelihood", "explanation", "temperatures"),
]


def posteriors(rng, n=40, draws=1):
    labels = rng.integers(0, 3, n)
    logits = 200 * (np.eye(3)[labels] + rng.normal(size=(draws, n, 3)))
    return labels, logits - logits.max(axis=-1, keepdims=True)


def make_coupling(path, draws=1, name="breastmnist"):
    rng = np.random.default_rng(0)
    make_workdir(path)  # The other files, and an evaluation that is written over.
    labels, logits = posteriors(rng, draws=draws)
    powers = np.exp(logits / 200)
    bits = {
        "train": rng.normal(3, 0.2, 90), "test": rng.normal(3, 0.2, 40),
        EVIL: rng.normal(2, 0.2, 30), "noise": rng.normal(8, 0.01, 20),
    }  # fmt: skip
    calibration = evaluate_calibration(labels, logits.mean(0), labels, logits.mean(0))
    likelihood = evaluate_likelihood(bits, "test", "train", [EVIL, "noise"])
    evaluation = {
        "split": "test", "family": "coupling", "settings": {"draws": draws}, "sections": NAMES,
        "words": {"distance": "negative log-posterior", "draw": "dequantisation draw"},
        "data": {"name": name, "classes": CLASSES},
        "classification": evaluate_classifier(
            labels, -logits, powers / powers.sum(-1, keepdims=True),
            {"distance": -logits.mean(0).max(1), "entropy": rng.random(40)}, CLASSES,
            resamples=20, conventions=LIKELIHOOD_CONVENTIONS,
        ),
        "calibration": calibration,
        "likelihood": {**likelihood, "dimensions": 784},
        "generation": generation(),
    }  # fmt: skip
    (path / "evaluation.json").write_text(json.dumps(evaluation))
    maps = rng.normal(size=(2, 8, 8))
    kept = {k: v for k, v in arrays(rng).items() if not k.startswith(("generate_", "classify_"))}
    np.savez(
        path / "evaluation.npz",
        **{f"bits_{i}": values.astype(np.float32) for i, values in enumerate(bits.values())},
        explain_images=rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8),
        explain_map=maps - 30, explain_contrast=maps,
        explain_labels=np.array([0, 1]), explain_predictions=np.array([0, 2]),
        explain_against=np.array([1, 1]), explain_log_prob=(maps - 30).sum((1, 2)),
        explain_ratio=np.array([1234.56, 0.5]), temperature_values=np.array([0.0, 0.7, 1.0]),
        temperature_samples=rng.integers(0, 256, (3, 3, 4, 8, 8, 1), dtype=np.uint8),
        **kept,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module", params=[1, 2])
def full(request, tmp_path_factory):
    """The page, of one and of two dequantisation draws."""
    path = make_coupling(tmp_path_factory.mktemp("coupling") / "run", request.param)
    return build_report(path).read_text(encoding="utf-8"), request.param


def test_sections_and_navigation(full):
    page = Page(full[0])
    assert page.ids == SECTIONS
    assert re.findall(r'<a href="#([^"]+)">', full[0]) == SECTIONS
    assert page.images_without_alt == 0
    assert 'class="missing"' not in full[0]


def test_words_of_the_other_family_do_not_appear(full):
    text, draws = Page(full[0]).text.lower(), full[1]
    for words in ("noise draw", "label picture", "trajector", "medsymmflow", "distance to code"):
        assert words not in text
    assert "distances" not in text and "by negative log-posterior" in text
    assert "one dequantisation draw" in text if draws == 1 else "2 dequantisation draws" in text
    assert ("one draw" in text) == (draws == 2)


def test_likelihood_says_how_outside_sets_differ(full):
    text = Page(full[0]).text
    assert "bits per dimension" in text and "784 dimensions" in text
    for words in (f"{EVIL} (another kind)", "AUROC by typicality",
                  f"Images of {EVIL} are on average more likely", "arXiv 1810.09136"):  # fmt: skip
        assert words in text
    assert "Images of noise are on average" not in text


def test_calibration_and_new_scores_are_shown(full):
    text = Page(full[0]).text
    for words in ("Temperature scaling", "before (T = 1)", "after (T = ", "validation split",
                  "Macro F1", "Macro precision", "Cohen's kappa", "macro recall"):  # fmt: skip
        assert words in text


def test_explained_images_have_words_in_nats(full):
    text = Page(full[0]).text
    for words in ("✓ normal", f"✗ rare (true: {EVIL})", f"second class: {EVIL}", "1,234.6 nats",
                  "0.5 nats", "terms of a sum, not causes"):  # fmt: skip
        assert words in text
    assert full[0].count('class="cell three"') == 2


def test_temperatures_are_rows(full):
    text = Page(full[0]).text
    assert "T = 0.7" in text and "T = 1" in text
    assert full[0].count("drawn at temperature") == 9


def test_phantoms_say_so_in_every_caption(tmp_path):
    text = build_report(make_coupling(tmp_path, name="phantoms")).read_text(encoding="utf-8")
    assert text.count("<figcaption>") == text.count("<figcaption><strong>Phantom data")


def test_what_is_named_and_not_there_is_said(tmp_path):
    (tmp_path / "evaluation.json").write_text(json.dumps({"sections": NAMES}))
    page = Page(build_report(tmp_path).read_text(encoding="utf-8"))
    assert page.ids == SECTIONS
    for words in ("No likelihoods", "No explained images", "No samples at several temperatures"):
        assert words in page.text
    content = (make_coupling(tmp_path / "full") / "evaluation.json").read_text()
    (tmp_path / "evaluation.json").write_text(content.replace('"calibration":', '"none":'))
    text = Page(build_report(tmp_path).read_text(encoding="utf-8")).text
    assert "No calibration" in text and "no histogram is shown" in text


def test_older_files_without_sections_and_words(tmp_path):
    path = make_coupling(tmp_path)
    content = json.loads((path / "evaluation.json").read_text())
    del content["sections"], content["words"]
    (path / "evaluation.json").write_text(json.dumps(content))
    page = Page(build_report(path).read_text(encoding="utf-8"))
    assert set(page.ids) == set(SECTIONS) and "one dequantisation draw" in page.text
