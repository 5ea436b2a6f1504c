"""What the report says of its intervals, levels and axes is what was measured."""

import re

import numpy as np
import pytest

from msflow_jax.evaluation.retrieval import recall
from msflow_jax.reports import card, general
from msflow_jax.reports.outside import outside_section
from msflow_jax.reports.results import Results
from msflow_jax.reports.translation import retrieval_section
from tests.reports.test_card import FACTS, INFO
from tests.reports.workdirs import Page


def evaluation(subjects, **blocks):
    counts = [{"split": "val", "subjects": 3}, {"split": "test", "subjects": subjects}]
    return {"split": "test", "counts": counts, **blocks}


def outside(**more):
    cell = {"value": 0.5, "interval": [0.4, 0.6]}
    one = {"images": 8, "measures": {"entropy": {"auroc": cell, "fpr95": cell}}, "rejected": 0.25}
    return {"images": 8, "used": ["entropy"], "sets": {"noise": one}, **more}


def text(section):
    return " ".join(Page(section.html).text.split())


@pytest.mark.parametrize("subjects, units", [(None, "images"), (20, "subjects")])
def test_intervals_are_over_subjects_where_they_are_known(subjects, units):
    found = evaluation(subjects, outside=outside(), classification={"images": 20, "per_class": []})
    assert Results("x", evaluation=found).units == units
    assert f"95 % over its {units}." in text(outside_section(Results("x", evaluation=found)))
    found["classification"] |= {"accuracy": 0.5, "draws": None}
    written = card.write_card("", "me/model", found, data=INFO, **FACTS)
    assert f"bootstrap over these\n{units}: they say" in written


def test_an_evaluation_of_before_says_neither():
    words = "images, or subjects where they are known"
    assert Results("x").units == Results("x", evaluation={"counts": 3}).units == words
    pairs = [{"source": "a", "target": "b"}]
    found = Results("x", evaluation={"retrieval": {"pairs": pairs}})
    assert "No retrieval" in text(retrieval_section(Results("x"))) and found.units == words


def test_each_direction_of_a_retrieval_has_its_own_chance():
    """60 of 100 reports read the same: an image may find any of these, and such a report any image."""
    reports, images = np.where(np.arange(100) < 60, 0, np.arange(100)), np.arange(100)
    found = recall(np.eye(100)[images], np.eye(100)[reports], images[:, None], reports[:, None])
    pair = {"pair": ["xray", "report"], "trained": True, **found}
    html = str(retrieval_section(Results("x", evaluation={"retrieval": {"pairs": [pair]}})).html)
    heads = re.findall(r'<th scope="col">(.*?)</th>', html)
    cells = re.findall(r"<td>(.*?)</td>", re.sub("<small>.*?</small>", "", html))
    shown = [cell for head, cell in zip(heads[1:], cells, strict=True) if head == "chance at 1"]
    assert shown == ["36.4\u00a0%", "36.4\u00a0%"]
    pair["backward"]["chance"] = 0.01  # evaluations of before have another one
    html = str(retrieval_section(Results("x", evaluation={"retrieval": {"pairs": [pair]}})).html)
    assert "<td>36.4\u00a0%</td>" in html and "<td>1.0\u00a0%</td>" in html
    assert heads.index("chance at 1") < heads.index("backwards at 1")


@pytest.mark.parametrize(
    "more, words",
    [
        ({"level": 0.01, "rejected": 0.0}, "Rejected: p-value of at most 1 %."),
        ({"level": 1 / 31, "rejected": 0.0}, "Rejected: p-value of at most 3.2 %."),
        ({"level": 0.0, "rejected": 0.0}, "Rejected: none, the validation images are too few"),
        ({"rejected": 0.0}, "Rejected: by the p-value at which classify abstains."),
    ],
)
def test_the_level_is_the_one_that_was_used(more, words):
    found = text(outside_section(Results("x", evaluation={"outside": outside(**more)})))
    assert words in found and ("at most 1 %" in found) == ("1 %." in words)


@pytest.mark.parametrize("least, said", [(0.5, True), (-0.5, False)])
def test_an_axis_is_called_logarithmic_where_it_is(least, said):
    """Bits and densities may be negative."""
    rows = [{"step": i, "loss": 3.0 - i} for i in range(2)] + [{"step": 2, "val_bits": least}]
    found = general.training_section(Results("x", rows=rows))
    assert ("Loss on a log scale" in text(found)) == said
    scores = general.training_section(Results("x", rows=[{"step": 1, "val_auc": 0.5}]))
    assert "log scale" not in text(scores)
