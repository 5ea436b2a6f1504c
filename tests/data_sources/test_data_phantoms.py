"""Phantoms: physics against closed forms, and images against their own truth."""

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data import lesions, phantoms, signals
from msflow_jax.data.signals import RELAXATION, SEQUENCES, TISSUES


def config(**settings):
    made = data.default_config()
    made.phantoms.subjects = 40
    made.phantoms.slices = 2
    for key, value in settings.items():
        (made.phantoms if key in made.phantoms else made)[key] = value
    return made


@pytest.fixture(scope="module")
def splits():
    return data.load(config())


def everything(splits, field):
    return np.concatenate([getattr(splits[s], field) for s in ("train", "val", "test")])


def truth(splits, key):
    return np.concatenate([splits[s].truth[key] for s in ("train", "val", "test")])


def test_spin_echo_closed_form():
    long = signals.Sequence(repetition=1e9, echo=50.0)
    tissue = np.array([1000.0, 50.0, 0.8])
    assert signals.signal(tissue, long) == pytest.approx(0.8 / np.e)
    short = signals.Sequence(repetition=1000.0, echo=0.0)
    assert signals.signal(tissue, short) == pytest.approx(0.8 * (1 - 1 / np.e))


def test_flair_nulls_the_fluid_and_lifts_lesions():
    values = dict(zip(TISSUES, signals.signal(RELAXATION, SEQUENCES["flair"]), strict=True))
    assert values["csf"] < 0.005
    assert values["lesion"] > 2 * values["grey"] > 2 * values["white"]


@pytest.mark.parametrize(
    ("contrast", "order"),
    [
        ("t1w", ("white", "grey", "csf")),
        ("t2w", ("csf", "lesion", "grey", "white")),
        ("pdw", ("grey", "white", "bone")),
    ],
)
def test_order_of_grey_values(contrast, order):
    values = dict(zip(TISSUES, signals.signal(RELAXATION, SEQUENCES[contrast]), strict=True))
    assert sorted(order, key=values.__getitem__, reverse=True) == list(order)


def test_rician_noise():
    rng = np.random.default_rng(0)
    noise = signals.rician(np.zeros(100_000), 2.0, rng)
    assert noise.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.01)  # Rayleigh
    strong = signals.rician(np.full(100_000, 100.0), 2.0, rng)
    assert strong.std() == pytest.approx(2.0, rel=0.02)


def test_lesion_strength_of_one_ball():
    ball = lesions.Lesions(np.zeros((1, 3)), np.eye(3)[None] / 5.0, np.array([0.8]))
    points = np.array([[0.0, 0, 0], [5.0, 0, 0], [0, 15.0, 0], [0, 0, 90.0]]).T
    np.testing.assert_allclose(ball.strength(points), [0.8, 0.4, 0.0, 0.0], atol=2e-3)


def test_no_lesions_when_healthy():
    rng = np.random.default_rng(0)
    sites, weights = np.zeros((5, 3)), np.full(5, 0.2)
    none = lesions.draw_lesions(rng, 0.0, np.zeros((2, 5)), sites, weights)
    many = lesions.draw_lesions(rng, 1.0, np.zeros((2, 5)), sites, weights)
    assert len(none.peaks) == 0
    assert len(many.peaks) >= 20
    assert none.strength(np.zeros((3, 7))).sum() == 0


def test_shapes_and_facts(splits):
    assert splits.info.classes == ("none", "mild", "moderate", "severe")
    assert splits.info.task == "ordinal-regression"
    assert splits.train.images.shape[1:] == (32, 32, 1)
    assert sum(len(splits[s]) for s in ("train", "val", "test")) == 80
    assert "phantom" in splits.info.licence
    assert data.Info.from_dict(splits.info.to_dict()) == splits.info


def test_split_by_subject(splits):
    subjects = [set(splits[s].truth["subject"].tolist()) for s in ("train", "val", "test")]
    assert sum(map(len, subjects)) == len(set.union(*subjects)) == 40


def test_grade_is_the_severity_cut(splits):
    expected = np.digitize(truth(splits, "severity"), phantoms.THRESHOLDS)
    np.testing.assert_array_equal(everything(splits, "labels"), expected)


def test_lesions_grow_with_the_grade(splits):
    area, grade = truth(splits, "lesion_area"), everything(splits, "labels")
    medians = [np.median(area[grade == k]) for k in range(4)]
    assert medians[0] < 40 < medians[1] < 300 < medians[2] < 1000 < medians[3]
    assert np.corrcoef(area, truth(splits, "severity"))[0, 1] > 0.8


def test_maps_show_a_head(splits):
    maps, images = everything(splits, "maps"), everything(splits, "images")[..., 0]
    assert set(np.unique(maps)) == set(range(len(phantoms.MAP_CLASSES)))
    assert (maps[:, [0, -1]] == 0).all() and (maps[:, :, [0, -1]] == 0).all()  # air around the head
    share = np.bincount(maps.ravel(), minlength=6) / maps.size
    assert share[0] > 0.3
    assert 0.1 < share[2] < 0.35 and 0.1 < share[3] < 0.35
    tissue = [images[maps == k].mean() for k in range(6)]
    assert tissue[5] > 1.5 * tissue[3] > 1.5 * tissue[0]  # FLAIR: lesions bright, air black


def test_lesion_area_agrees_with_maps(splits):
    mapped = (everything(splits, "maps") == 5).sum(axis=(1, 2)) * (phantoms.FIELD / 32) ** 2
    area = truth(splits, "lesion_area")
    assert np.corrcoef(mapped, area)[0, 1] > 0.97


def test_seed_alone_decides(splits):
    again = data.load(config())
    assert again.info.md5 == splits.info.md5
    np.testing.assert_array_equal(again.test.images, splits.test.images)
    assert data.load(config(seed=1)).info.md5 != splits.info.md5


def test_subject_does_not_depend_on_the_others(splits):
    fewer = data.load(config(subjects=20))
    pick = {
        n: i
        for s in ("train", "val", "test")
        for n, i in zip(splits[s].names, splits[s].images, strict=True)
    }
    for name, image in zip(fewer.test.names, fewer.test.images, strict=True):
        np.testing.assert_array_equal(image, pick[name])


def test_same_heads_at_another_side_and_contrast(splits):
    fine = data.load(config(side=64, contrast="t1w", channels=3, subjects=12))
    assert fine.train.images.shape[1:] == (64, 64, 3)
    coarse = dict(zip(splits.train.names, splits.train.truth["lesion_area"], strict=True))
    for name, area in zip(fine.train.names, fine.train.truth["lesion_area"], strict=True):
        if name in coarse:
            assert area == pytest.approx(coarse[name], rel=0.1, abs=10)


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
        ("contrast", "dwi", "t1w, t2w, pdw, flair"),
        ("subjects", 3, "phantoms.subjects=3"),
        ("slices", 0, "phantoms.slices=0"),
        ("noise", -0.1, "phantoms.noise=-0.1"),
        ("bias", 2.0, "phantoms.bias=2.0"),
        ("side", 8, "side=8"),
    ],
)
def test_settings_out_of_range(key, value, words):
    with pytest.raises(ValueError, match=words):
        data.load(config(**{key: value}))
