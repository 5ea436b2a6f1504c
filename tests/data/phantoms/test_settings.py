"""Settings of phantoms: the published grade, noise as asked, a grade to learn, and ranges."""

import numpy as np
import pytest

from msflow_jax import data
from tests.data.phantoms.test_heads import config


@pytest.mark.parametrize(
    ("settings", "md5"),
    [
        ({}, "7a6f973f39ecfeabef7e60b67b4e5bff"),
        ({"side": 64, "seed": 1}, "24fc12c02c87cd5b2bab702d7e81ce60"),
    ],
)
def test_grade_is_as_published(settings, md5):
    # Recorded before there were other tasks. The figures in the README and in the configurations'
    # docstrings are of these images, and workdirs refuse to go on with others.
    assert data.load(config(**settings)).info.md5 == md5


def test_noise_is_as_asked():
    quiet = data.load(config(noise=0.0, bias=0.0, subjects=10)).train
    assert quiet.images[:, 0].max() == 0
    noisy = data.load(config(noise=0.1, bias=0.0, subjects=10)).train
    air = noisy.images[:, 0, :, 0].mean() / 255
    assert air == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.1)


def test_grade_can_be_learned():
    from sklearn.linear_model import LogisticRegression

    made = data.load(config(subjects=100, slices=4))
    brain = [np.isin(made[s].maps, (1, 2, 3, 5)) for s in ("train", "test")]
    bright = [
        np.sort(np.where(m, made[s].images[..., 0], 0).reshape(len(m), -1), axis=1)[:, -60::5]
        for s, m in zip(("train", "test"), brain, strict=True)
    ]
    model = LogisticRegression(max_iter=500).fit(bright[0] / 255.0, made.train.labels)
    assert model.score(bright[1] / 255.0, made.test.labels) > 0.6  # chance is 0.25


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (
            "task",
            "age",
            "phantoms.task 'age': choose one of grade, scanner, contrast, contrast_half",
        ),
        ("contrast", "dwi", "t1w, t2w, pdw, flair, t1ir, stir"),
        ("subjects", 3, "phantoms.subjects must lie in .10, 1000000., got 3"),
        ("slices", 0, "phantoms.slices must lie in .1, 64., got 0"),
        ("noise", -0.1, "phantoms.noise must lie in .0, 1., got -0.1"),
        ("bias", 2.0, "phantoms.bias must lie in .0, 1., got 2.0"),
        ("side", 8, "side=8"),
    ],
)
def test_settings_out_of_range(key, value, words):
    with pytest.raises(ValueError, match=words):
        data.load(config(**{key: value}))
