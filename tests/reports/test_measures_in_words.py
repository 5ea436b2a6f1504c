"""What the page says of its measures: shares that do not round to 0 and 100 %, and what a mean is of."""

import numpy as np

from msflow_jax.evaluation import evaluate_classifier
from msflow_jax.reports.alarms import warnings_of
from msflow_jax.reports.classification import classification_section
from msflow_jax.reports.results import Results
from msflow_jax.reports.summary import summary_section

WHOLE = "<small>100\u00a0%</small>"


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
    html = str(classification_section(Results(name="w", evaluation={"classification": found})).html)
    table = html.split("kept at 90")[1].split("</table>")[0]
    confusion = html.split('class="confusion"')[1].split("</table>")[0]
    tiles = page_of(generation={"recognition_overall": {"generated": 0.9962, "real": 0.0038}})
    for text in (table, confusion, tiles, alarm[0]):
        assert "99.6\u00a0%" in text and "100\u00a0%" not in text.replace(WHOLE, "")
    for text in (confusion, tiles, alarm[0]):
        assert "0.4\u00a0%" in text
    assert WHOLE in confusion and "<small>0\u00a0%</small>" in confusion  # exactly these
