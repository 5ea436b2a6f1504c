"""What the page says of its measures: shares that do not round to 0 and 100 %, and what a mean is of."""

import html

import numpy as np

from msflow_jax.evaluation import evaluate_classifier
from msflow_jax.evaluation.privacy import too_few
from msflow_jax.reports.alarms import warnings_of
from msflow_jax.reports.classification import classification_section
from msflow_jax.reports.privacy import privacy_section
from msflow_jax.reports.results import Results
from msflow_jax.reports.summary import summary_section

WHOLE = "<small>100\u00a0%</small>"


def html_of(section):
    """A section as text, with its quotes."""
    return html.unescape(str(section.html))


def page_of(**blocks):
    """The head of a page of these sections, as HTML."""
    results = Results(name="w", evaluation={"split": "test", "sections": list(blocks), **blocks})
    return str(summary_section(results).html)


def test_shares_near_the_ends_are_not_rounded_to_0_and_100():
    """In a table, a confusion matrix, a tile and an alarm: 99.62 % is not all."""
    labels, predicted = np.repeat([0, 0, 1], [996, 4, 10]), np.repeat([0, 1, 1], [996, 4, 10])
    distances = 1 - np.eye(2)[predicted][None]
    unsure = {"distance": 1.0 * (labels != predicted)}
    found = evaluate_classifier(labels, distances, 1 - distances, unsure, "ab", resamples=0)
    for row in found["rejection"]["distance"]["coverage_at_accuracy"]:
        row["coverage"] = 0.9962
    kept = [{"name": n, "images": 500, "kept": k} for n, k in (("a", 0.9962), ("b", 0.0038))]
    abstention = {"coverage": 0.8, "measures": {"distance": {"classes": kept}}}
    alarm = warnings_of(
        Results(name="w", evaluation={"classification": {"abstention": abstention}})
    )
    page = html_of(classification_section(Results(name="w", evaluation={"classification": found})))
    table = page.split("kept at 90")[1].split("</table>")[0]
    confusion = page.split('class="confusion"')[1].split("</table>")[0]
    tiles = page_of(generation={"recognition_overall": {"generated": 0.9962, "real": 0.0038}})
    for text in (table, confusion, tiles, alarm[0]):
        assert "99.6\u00a0%" in text and "100\u00a0%" not in text.replace(WHOLE, "")
    for text in (confusion, tiles, alarm[0]):
        assert "0.4\u00a0%" in text
    assert WHOLE in confusion and "<small>0\u00a0%</small>" in confusion  # exactly these


def test_a_lack_of_training_images_of_a_class_is_told_where_privacy_is():
    near = {
        "generated": 8, "compared": 20, "nearer": {"value": 0.5, "chance": [0.4, 0.6]},
        "ratio": {"median": 1.0, "p5": 0.9},
    }  # fmt: skip
    text = too_few({1: (3, 5)}, ["none", "mild"])[0]
    block = {"neighbours": near, "few": [text]}
    assert text in html_of(privacy_section(Results(name="w", evaluation={"privacy": block})))
    del block["few"]  # an evaluation of before
    assert "mild" not in html_of(privacy_section(Results(name="w", evaluation={"privacy": block})))
