"""Images of one modality that are said to be of another."""

import json

import numpy as np
import pytest

from msflow_jax.evaluation.looks import Looks, grey_levels

LEVELS = {"dark": 60, "middle": 110, "bright": 200}


def images(name, count, seed, space=(8, 8)):
    """Noise about a grey level, so wide that single images are now and then taken for others."""
    grey = np.random.default_rng(seed).normal(LEVELS[name], 40, (count, *space, 1))
    return np.clip(grey, 0, 255).astype(np.uint8)


def learned(names):
    """Of 100 training images of each, and 10 held-out volumes of 4 slices."""
    train = {name: images(name, 100, i) for i, name in enumerate(names)}
    of = np.repeat(np.arange(10), 4).tolist()
    return Looks.learn(train, {n: (images(n, 40, 10 + i), of) for i, n in enumerate(names)})


@pytest.fixture(scope="module", params=[("dark", "middle"), ("dark", "middle", "bright")])
def looks(request):
    return learned(request.param)


def test_features_are_shares_of_all_and_of_the_middle():
    one = np.zeros((1, 8, 8, 1), np.uint8)
    one[0, 2:6, 2:6] = 255
    found = grey_levels(one)[0] ** 2
    np.testing.assert_allclose(found[[0, 15, 16, 31]], [0.75, 0.25, 0, 1])
    assert grey_levels(np.zeros((2, 4, 4, 4, 1), np.uint8)).shape == (2, 32)  # of volumes as well


def test_a_volume_of_another_modality_is_named(looks):
    other = images("middle", 6, 5)
    assert looks.others(other, "dark", [0, 0, 0, 1, 1, 1]) == ["middle", "middle"]
    assert looks.others(other, "middle", [0, 0, 0, 1, 1, 1]) == ["", ""]
    assert looks.others(other[:1], "middle", ["a"]) == [""]
    given = {
        name: (images(name, 40, 7), np.repeat(np.arange(10), 4).tolist()) for name in looks.names
    }
    rates = looks.rates(given)
    assert rates == {"false": 0.0, "caught": 1.0, "count": 10 * len(looks.names)}


def test_held_out_images_are_never_named_themselves(looks):
    """Alone each counts for less than together: the slack is the largest lead that there was."""
    for i, name in enumerate(looks.names):
        held = images(name, 40, 10 + i)
        assert not any(looks.others(held, name, range(40)))
        assert min(looks.slack[name]) >= 0.5
    alone, together = looks.slack["middle"]
    assert alone >= together


def test_what_is_kept_is_what_was_learned(looks):
    again = Looks.from_dict(json.loads(json.dumps(looks.to_dict())))
    shown = images("middle", 5, 3)
    np.testing.assert_array_equal(again.log_probability(shown), looks.log_probability(shown))
    np.testing.assert_allclose(np.exp(looks.log_probability(shown)).sum(axis=1), 1)
    assert again.slack == dict(looks.slack)
    for change in (
        {"weights": [[1.0]]}, {"names": 3}, {"slack": {"dark": [1.0]}}, {"bias": None},
        {"bias": [float("nan")] * len(looks.names)}, {"slack": {"pet": [0, 0]}},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="not as it was written"):
            Looks.from_dict({**looks.to_dict(), **change})
