"""The model card: figures of the evaluation, escaped, and a header that YAML can read."""

import numpy as np

from msflow_jax.data import Info
from msflow_jax.reports import card
from tests.reports.workdirs import CLASSES, EVIL, classification, generation

FACTS = {
    "family": "symmetric", "verbs": ("classify", "generate"), "steps": [7], "parameters": 1234,
    "licence": "mit", "versions": "jax 1", "config_digest": "0" * 64, "features": 24,
    "report": False, "words": False,
}  # fmt: skip
INFO = Info(
    name=EVIL, classes=(*CLASSES, "*bold* [x](http://y) | `z`"), channels=1, side=8,
    task="multi-class", licence="CC0", md5="", source="folder", flips=(),
)  # fmt: skip


def test_figures_are_there_and_texts_stay_texts():
    block, _ = classification(np.random.default_rng(0))
    found = {
        "split": "test", "classification": block, "generation": generation(), "data": {"name": EVIL},
        "counts": [{"split": "test", "subjects": 20}],
    }  # fmt: skip
    text = card.write_card("a: 1", "me/model", found, data=INFO, **FACTS)
    assert text.startswith("---\na: 1\n---\n")
    assert "<script" not in text and "*bold*" not in text and "](http" not in text
    assert r"\*bold\* \[x\]\(http:&#47;/y\) \| \`z\`" in text
    assert f"| Accuracy | {100 * block['accuracy']:.1f} % |" in text
    assert "of 20 subjects" in text and "not a medical device" in text
    assert "msflow pull me/model --output=model" in text and "of 24 training images" in text
    scores = card.header_scores(found)
    assert scores[0]["metric_value"] == round(block["accuracy"], 4)
    facts = card.header_facts(("classify",), "symmetric", "")
    assert facts["license"] is None and facts["pipeline_tag"] == "image-classification"


def test_without_an_evaluation_the_card_says_so():
    text = card.write_card("", "me/model", {}, data=INFO, **{**FACTS, "licence": "", "features": 0})
    assert "had no standing evaluation" in text and "none was given" in text
    assert "features (vectors" not in text and "not calibrated" in text
    assert card.header_scores({}) == []


def test_probabilities_that_nothing_scaled_are_called_so():
    block, _ = classification(np.random.default_rng(0))
    given = {"method": "none", "fitted_on": "val", "ece_before": 0.25, "ece_after": 0.25}
    found = {"split": "test", "classification": block, "calibration": given}
    text = card.write_card("", "me/model", found, data=INFO, **FACTS)
    assert "not scaled: their calibration error (ECE) is 25" in text and "by none" not in text


def test_steps_are_those_of_all_stages():
    text = card.write_card("", "me/model", {}, data=INFO, **FACTS)
    assert "generate, after 7 steps of training;\n1,234 parameters." in text
    text = card.write_card("", "me/model", {}, data=INFO, **{**FACTS, "steps": [1000, 200, 34]})
    assert "generate, after 1,234 steps of training in 3 stages;\n1,234 parameters." in text
