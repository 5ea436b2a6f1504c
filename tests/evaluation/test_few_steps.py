"""Drawings in few steps beside real images, of which the classifier has seen some."""

import numpy as np
import pytest

from msflow_jax.evaluation.few_steps import compare_ways
from msflow_jax.evaluation.generation import matched
from msflow_jax.reports.few_steps import few_steps_section
from msflow_jax.reports.results import Results


def test_real_images_are_recognised_among_those_that_the_classifier_has_not_seen():
    """Of noise whose labels mean nothing it knows those by heart that it was trained on, no others."""
    rng = np.random.default_rng(0)

    def noise(count):
        return rng.integers(0, 256, (count, 6, 6, 1), dtype=np.uint8), np.arange(count) % 2

    train, held_out, (drawn, labels) = noise(100), noise(100), noise(64)

    class Nearest:
        def features(self, images):
            return images.reshape(len(images), -1)[:, :8] / 255.0

        def predict(self, images):
            flat, known = (x.reshape(len(x), -1).astype(float) for x in (images, train[0]))
            return train[1][((flat[:, None] - known[None]) ** 2).sum(axis=-1).argmin(axis=1)]

    found = compare_ways(
        {"4 jumps": drawn, "teacher": drawn}, labels, train, held_out, Nearest(),
        reference="teacher", seed=0,
    )  # fmt: skip
    _, chosen, _ = matched(labels, held_out[1], train[1], np.random.default_rng(0))
    expected = (Nearest().predict(held_out[0][chosen]) == held_out[1][chosen]).mean()
    assert found["rows"]["real"]["recognised"] == expected < 0.7
    assert found["recognised_real"] == "held-out" and "difference" not in found["rows"]["real"]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"recognised_real": "held-out"}, "of real images held-out ones, as it was trained on"),
        ({}, "of real images those of the training set"),  # an evaluation of before
    ],
)
def test_the_page_says_which_real_images_are_recognised(told, words):
    row = {"frechet": 1.0, "precision": 1.0, "recall": 1.0, "recognised": 0.5}
    block = {"rows": {"real": row}, "samples": 8, "reference": "teacher", **told}
    found = few_steps_section(Results(name="w", evaluation={"few_steps": block}))
    assert words in " ".join(found.html.split())
