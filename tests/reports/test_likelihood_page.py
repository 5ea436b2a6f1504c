"""The page of a model with likelihoods: its own sections, its own words, and nothing of others."""

import numpy as np
import pytest

from msflow_jax.evaluation.likelihood import evaluate_likelihood
from msflow_jax.reports import build_report
from tests.reports.workdirs import EVIL, Page, change, make_likelihoods, make_workdir

SECTIONS = [
    *("summary", "data", "training", "classification", "generation"),
    *("likelihood", "explanation", "temperatures", "configuration"),
]


@pytest.fixture(scope="module", params=[1, 2])
def full(request, tmp_path_factory):
    """The page, classified from one and from two dequantisation draws."""
    path = make_likelihoods(tmp_path_factory.mktemp("likelihoods") / "run", request.param)
    return build_report(path).read_text(encoding="utf-8"), request.param


def test_sections_and_navigation(full):
    page = Page(full[0])
    assert page.ids == SECTIONS
    assert page.links == SECTIONS
    assert page.images_without_alt == 0
    assert 'class="missing"' not in full[0]


def test_words_of_another_family_do_not_appear(full):
    text, draws = Page(full[0]).text.lower(), full[1]
    for words in (
        "noise draw",
        "label picture",
        "from noise to image",
        "put aside",
        "runner-up",
        "contrast",
    ):
        assert words not in text
    assert "auc, of negative log-posteriors" in text and "(by negative log-posterior)" in text
    assert "auc, of distances" not in text
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
    for words in ("Calibration of the probabilities", "before (T = 1)", "after (T = ",
                  "validation split",
                  "Macro F1", "Macro precision", "Cohen's kappa", "macro recall",
                  "Thresholds of uncertainty", "negative log-likelihood"):  # fmt: skip
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
    text = build_report(make_likelihoods(tmp_path, name="phantoms")).read_text(encoding="utf-8")
    assert text.count("<figcaption>") == text.count("<figcaption><strong>Phantom data")


def test_a_block_that_is_missing_is_named(tmp_path):
    change(make_likelihoods(tmp_path), calibration=None)
    (tmp_path / "evaluation.npz").unlink()
    text = Page(build_report(tmp_path).read_text(encoding="utf-8")).text
    assert "No calibration" in text and "no histogram is shown" in text


def test_evaluations_without_a_list_of_sections_are_shown_by_their_blocks(tmp_path):
    change(make_likelihoods(tmp_path), sections=None, words=None)
    page = Page(build_report(tmp_path).read_text(encoding="utf-8"))
    assert sorted(page.ids) == sorted(SECTIONS)
    assert "AUC, of negative log-posteriors" in page.text
    assert (
        "one dequantisation draw" in page.text and "Calibration of the probabilities" in page.text
    )


def test_a_block_beside_those_of_another_model_leaves_its_words(tmp_path):
    bits = {"train": np.arange(3.0), "test": np.arange(4.0)}
    likelihood = evaluate_likelihood(bits, "test", "train", [])
    change(make_workdir(tmp_path), likelihood=likelihood, sections=None)
    page = Page(build_report(tmp_path).read_text(encoding="utf-8"))
    assert "likelihood" in page.ids and "paths" in page.ids
    assert not {"explanation", "temperatures"} & set(page.ids)
    assert "No calibration" not in page.text and "noise draws" in page.text
