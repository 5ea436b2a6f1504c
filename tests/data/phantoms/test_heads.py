"""Phantoms: images against their own truth."""

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.phantoms import heads as phantoms
from msflow_jax.data.phantoms import scanners, tasks
from msflow_jax.data.splitting import assign

SPLITS = ("train", "val", "test")


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


@pytest.fixture(scope="module")
def scanned():
    return data.load(config(task="scanner", subjects=100))


@pytest.fixture(scope="module")
def contrasted():
    return data.load(config(task="contrast", subjects=60))


@pytest.fixture(scope="module", params=["scanned", "contrasted"])
def other(request):
    """Each of the tasks beside the grades."""
    return request.getfixturevalue(request.param)


def everything(splits, field):
    return np.concatenate([getattr(splits[s], field) for s in SPLITS])


def truth(splits, key):
    return np.concatenate([splits[s].truth[key] for s in SPLITS])


def by_name(splits, values):
    """Values of all images, in the order of `everything`, by the images' names."""
    names = [name for s in SPLITS for name in splits[s].names]
    return dict(zip(names, values, strict=True))


def nearest_mean(made, flip=False):
    """Share of each class's test images whose mean training image is their own class's."""
    train, test = (made[s].images[..., 0].astype(float) for s in ("train", "test"))
    test = test[..., ::-1] if flip else test
    classes = range(len(made.info.classes))
    means = np.stack([train[made.train.labels == k].mean(axis=0) for k in classes])
    distance = np.square(test[:, None] - means).sum(axis=(2, 3))
    right = distance.argmin(axis=1) == made.test.labels
    return np.mean([right[made.test.labels == k].mean() for k in classes])


@pytest.mark.parametrize("subjects", [10, 14, 35, 70, 100, 480])
def test_every_machine_has_its_subjects(subjects):
    for seed in range(3):
        dealt = scanners.allot(subjects, np.random.default_rng(seed))
        counts = np.bincount(dealt, minlength=7)
        assert len(dealt) == subjects and counts.min() >= min(10, subjects // 7)
        cut = np.array(assign([f"subject{i:05d}" for i in range(subjects)], dealt.tolist(), seed))
        if subjects >= 70:
            assert all(set(dealt[cut == split]) == set(range(7)) for split in SPLITS)
        if subjects == 480:
            np.testing.assert_allclose(counts / subjects, scanners.SCANNER_SHARES, atol=2e-3)


def test_shapes_and_facts(splits):
    assert splits.info.classes == ("none", "mild", "moderate", "severe")
    assert splits.info.task == "ordinal-regression"
    assert splits.train.images.shape[1:] == (32, 32, 1)
    assert sum(len(splits[s]) for s in ("train", "val", "test")) == 80
    assert "phantom" in splits.info.licence
    assert data.Info.from_dict(splits.info.to_dict()) == splits.info


def test_facts_of_the_other_tasks(scanned, contrasted):
    assert scanned.info.classes == tuple(f"scanner {letter}" for letter in "ABCDEFG")
    assert contrasted.info.classes == ("t1w", "t2w", "pdw", "flair", "t1ir", "stir")
    assert scanned.info.task == contrasted.info.task == "multi-class"
    assert scanned.info.flips == () and contrasted.info.flips == ("horizontal",)
    assert "by scanner, seed 0, flair" in scanned.info.source
    assert "by contrast, seed 0, all contrasts" in contrasted.info.source


def test_other_tasks_show_the_same_heads(splits, other):
    for key in ("severity", "grade", "lesion_area", "height"):
        mine, theirs = by_name(other, truth(other, key)), by_name(splits, truth(splits, key))
        assert all(mine[name] == theirs[name] for name in theirs)
    mine, theirs = (by_name(s, everything(s, "maps")) for s in (other, splits))
    assert all((mine[name] == theirs[name]).all() for name in theirs)
    images = everything(other, "images")
    assert images.dtype == np.uint8 and images.min() == 0 and images.max() == 255
    mine, theirs = by_name(other, images), by_name(splits, everything(splits, "images"))
    assert np.mean([(mine[name] != theirs[name]).any() for name in theirs]) > 0.7


def test_other_tasks_are_split_by_subject(other):
    subjects = [set(other[s].truth["subject"].tolist()) for s in SPLITS]
    assert sum(map(len, subjects)) == len(set.union(*subjects))


def test_other_tasks_are_decided_by_the_seed():
    for task in ("scanner", "contrast"):
        made = [data.load(config(task=task, subjects=14, seed=seed)) for seed in (0, 0, 1)]
        assert made[0].info.md5 == made[1].info.md5 != made[2].info.md5
        assert (everything(made[0], "labels") != everything(made[2], "labels")).any()


def test_a_subject_meets_one_scanner(scanned):
    labels, subject = everything(scanned, "labels"), truth(scanned, "subject")
    assert len(set(zip(labels.tolist(), subject.tolist(), strict=True))) == 100
    for split in SPLITS:
        assert np.bincount(scanned[split].labels, minlength=7).min() >= 2
    counts = np.bincount(everything(scanned, "labels"))
    assert counts.argmax() == 5 and counts.sum() == 200


def test_contrasts_are_equally_frequent(contrasted):
    assert (np.bincount(everything(contrasted, "labels")) == 20).all()
    fewer = data.load(config(task="contrast", subjects=20, contrast="t1w"))  # `contrast` is ignored
    for field in ("labels", "images"):
        mine, theirs = (by_name(s, everything(s, field)) for s in (fewer, contrasted))
        assert all((mine[name] == theirs[name]).all() for name in mine)


def test_a_contrast_looks_as_its_own_setting(contrasted):
    alone = data.load(config(contrast="stir", subjects=20))
    stir = contrasted.info.classes.index("stir")
    names = [
        n for n, k in by_name(contrasted, everything(contrasted, "labels")).items() if k == stir
    ]
    mine, theirs = (by_name(s, everything(s, "images")) for s in (contrasted, alone))
    shared = [name for name in names if name in theirs]
    assert len(shared) >= 3
    for name in shared:
        np.testing.assert_array_equal(mine[name], theirs[name])


def test_other_tasks_can_be_seen(scanned, contrasted):
    assert nearest_mean(scanned) > 0.5  # chance is 1 / 7
    assert nearest_mean(contrasted) > 0.8  # chance is 1 / 6
    assert nearest_mean(contrasted, flip=True) > 0.8  # a mirrored head has the same contrast


def test_split_by_subject(splits):
    subjects = [set(splits[s].truth["subject"].tolist()) for s in ("train", "val", "test")]
    assert sum(map(len, subjects)) == len(set.union(*subjects)) == 40
    for split in (splits.train, splits.val, splits.test):
        expected = [f"subject{number:05d}" for number in split.truth["subject"]]
        assert list(split.groups) == expected


def test_grade_is_the_severity_cut(splits):
    expected = np.digitize(truth(splits, "severity"), tasks.THRESHOLDS)
    np.testing.assert_array_equal(everything(splits, "labels"), expected)


def test_lesions_grow_with_the_grade(splits):
    area, grade = truth(splits, "lesion_area"), everything(splits, "labels")
    medians = [np.median(area[grade == k]) for k in range(4)]
    assert medians[0] < 40 < medians[1] < 300 < medians[2] < 1000 < medians[3]
    assert np.corrcoef(area, truth(splits, "severity"))[0, 1] > 0.8


def test_maps_show_a_head(splits):
    maps, images = everything(splits, "maps"), everything(splits, "images")[..., 0]
    assert set(np.unique(maps)) == set(range(len(tasks.MAP_CLASSES)))
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


@pytest.mark.parametrize("task, words", [("contrast_half", 2), ("contrast_grade", 4)])
def test_many_classes_are_contrasts_times_grades(contrasted, task, words):
    made = data.load(config(task=task, subjects=60))
    assert len(made.info.classes) == 6 * words
    assert made.info.classes[0] == ("t1w light" if words == 2 else "t1w none")
    # The same heads and the same contrasts as of the task "contrast".
    np.testing.assert_array_equal(everything(made, "images"), everything(contrasted, "images"))
    labels, contrast = everything(made, "labels"), everything(contrasted, "labels")
    np.testing.assert_array_equal(labels // words, contrast)
    np.testing.assert_array_equal(labels % words, truth(made, "grade") * words // 4)
    assert "all contrasts" in made.info.source
