"""The cohort of phantoms: every head in all modalities, whole or as slices, and what is withheld."""

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.phantoms import cohort, reports
from msflow_jax.data.phantoms.examinations import CT, MODALITIES, XRAY
from msflow_jax.data.slices import neighbours

SPLITS = ("train", "val", "test")
SIDE, SUBJECTS = 16, 15


def config(name="phantom_cohort", **settings):
    made = data.default_config(name)
    made.dims, made.side = 3, SIDE
    made.phantoms.subjects = SUBJECTS
    for key, value in settings.items():
        owner = made.phantoms if key in made.phantoms else made
        owner[key] = value
    return made


@pytest.fixture(scope="module", autouse=True)
def kept(tmp_path_factory, read_once):
    """The heads of this module are made once, and read from disk by every other test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSFLOW_JAX_PHANTOMS", str(tmp_path_factory.mktemp("phantoms")))
        yield


@pytest.fixture(scope="module")
def volumes():
    return data.load(config())


def sliced(**settings):
    made = config(dims=2, **settings)
    made.slices.first, made.slices.last = 0.25, 0.75
    return data.load(made)


def test_all_modalities_by_name(volumes):
    train, info = volumes.train, volumes.info
    assert set(train.arrays) == {*MODALITIES, "label", "map"}
    for name in MODALITIES:
        space = (SIDE,) * (2 if name == XRAY else 3)
        assert train.arrays[name].shape == (len(train), *space, 1)
        assert train.arrays[name].dtype == np.uint8 and train.arrays[name].std() > 10
    assert set(info.modalities) == set(train.arrays) and info.dims == 3 and info.flips == ()
    assert info.spacing == (11.0, 14.75, 14.75) and info.modalities["label"].names == info.classes
    assert info.intensity(CT).describe() == "window, -1024 to 1024 HU"
    assert data.Info.from_dict(info.to_dict()) == info
    assert sum(len(volumes[s]) for s in SPLITS) == SUBJECTS


def test_the_heads_are_those_of_the_phantoms(volumes):
    alone = data.load(config("phantoms", contrast="t2w"))
    for split in SPLITS:
        mine, theirs = volumes[split], alone[split]
        assert mine.names == theirs.names and (mine.labels == theirs.labels).all()
        np.testing.assert_array_equal(mine.arrays["t2w"], theirs.images)
        np.testing.assert_array_equal(mine.maps, theirs.maps)
        for key in ("severity", "lesion_volume", "subject"):
            np.testing.assert_array_equal(mine.truth[key], theirs.truth[key])


def test_reports_state_the_truth(volumes):
    for split in SPLITS:
        truth = volumes[split].truth
        for i, text in enumerate(truth["report"]):
            stated = reports.columns(reports.parse(str(text)))
            assert stated == {name: truth[name][i] for name in stated}
    assert len(set(volumes.train.truth["report"])) == len(volumes.train)


def test_one_modality_is_the_image(volumes):
    for name in ("flair", CT, XRAY):
        made = data.load(config(modality=name))
        np.testing.assert_array_equal(made.val.images, volumes.val.arrays[name])
        assert ("map" in made.val.arrays) == (name != XRAY)
        assert made.info.dims == (2 if name == XRAY else 3)
        assert made.info.intensity().kind == ("window" if name == CT else "full")
        assert data.Info.from_dict(made.info.to_dict()) == made.info
        assert made.info.shape == made.val.images.shape[1:]


def test_ct_is_seen_in_its_window(volumes):
    brain = data.load(config(modality=CT, window=(0.0, 80.0))).test
    wide, classes = volumes.test.arrays[CT][..., 0], brain.maps
    grey, white, skull = (brain.images[..., 0][classes == k] for k in (2, 3, 4))
    assert np.median(grey) == pytest.approx(39 / 80 * 255, abs=25)
    assert np.median(grey) > np.median(white) + 10 and skull.max() == 255
    assert (wide[classes == 0] < 40).mean() > 0.9  # air is black in every window
    assert brain.images.max() == 255 and wide.max() < 255


def test_slices_are_of_the_volumes_at_equal_places(volumes):
    made = sliced()
    for split in SPLITS:
        part, whole = made[split], volumes[split]
        numbers = np.unique(part.truth["slice"])
        assert numbers.tolist() == list(range(4, 12)) and len(part) == len(whole) * len(numbers)
        for i in (0, len(part) - 1):
            of = whole.names.index(part.groups[i])
            for name in (*MODALITIES[:7], "map"):
                expected = whole.arrays[name][of][part.truth["slice"][i]]
                np.testing.assert_array_equal(part.arrays[name][i], expected)
            np.testing.assert_array_equal(part.arrays[XRAY][i], whole.arrays[XRAY][of])
            assert part.names[i] == f"{part.groups[i]}/axial{part.truth['slice'][i]:03d}"
            of_subject, own = whole.truth["report"][of], part.truth["report"][i]
            assert reports.parse(str(own)) == reports.parse(str(of_subject))  # in its own words
            assert own == of_subject or part.truth["slice"][i] != numbers[0]
    assert list(made.train.arrays) == list(volumes.train.arrays)
    assert made.info.spacing == (14.75, 14.75) and made.info.dims == 2
    near = neighbours(made.train, 3, 2)
    assert made.train.truth["slice"][near].tolist() == [5, 6, 8, 9]
    assert {made.train.groups[i] for i in near} == {made.train.groups[3]}


def test_slices_along_another_axis():
    made = config(dims=2, modality="t1w")
    made.slices.update({"axis": "coronal", "first": 0.5, "last": 0.5})
    seen = data.load(made)
    assert seen.info.spacing == (11.0, 14.75) and len(seen.val) == len(set(seen.val.groups))
    # The head lies above: the lower rows hold the gap beneath the brain.
    assert seen.val.images[:, :2].mean() < seen.val.images[:, 6:10].mean()


def test_three_disjoint_sets_of_subjects(volumes):
    made = data.load(config(withhold="disjoint"))
    for split in ("train", "val"):
        part, has = made[split], made[split].present
        assert set(has) == set(MODALITIES)
        for i, number in enumerate(part.truth["set"]):
            mine = {name for name in MODALITIES if has[name][i]}
            mine |= {"report"} if part.truth["report"][i] else set()
            assert mine == set(cohort.SETS[number])
            for name in MODALITIES:
                assert (part.arrays[name][i].max() > 0) == has[name][i]
    assert set(made.train.truth["set"]) == {0, 1, 2}
    # Of test everything is there, so that what was never seen together can be measured.
    assert made.test.present == {} and (made.test.truth["set"] == -1).all()
    np.testing.assert_array_equal(made.test.arrays[CT], volumes.test.arrays[CT])
    np.testing.assert_array_equal(made.train.truth["fact_side"], volumes.train.truth["fact_side"])
    alone = data.load(config(withhold="disjoint", modality=XRAY))
    assert set(alone.train.truth["set"]) == {0} and set(alone.train.groups) == {
        g for g, k in zip(made.train.groups, made.train.truth["set"], strict=True) if k == 0
    }


def test_sets_do_not_depend_on_how_many_there_are():
    many = cohort.sets(np.arange(300), 0)
    assert (np.bincount(many) == 100).all()
    np.testing.assert_array_equal(cohort.sets(np.array([4, 70, 7]), 0), many[[4, 70, 7]])
    assert (cohort.sets(np.arange(300), 1) != many).any()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"task": "scanner"}, "a phantom cohort is labelled by grade"),
        ({"modality": "pet"}, "data.modality='pet'; a phantom cohort has t1w, .*, xray"),
        ({"window": (100.0, 0.0)}, "does not rise"),
        ({"spacing": 1.0}, "phantoms are made with the voxels that data.side gives"),
        ({"withhold": "all"}, "choose one of none, disjoint"),
    ],
)
def test_settings_that_a_cohort_does_not_have(settings, words):
    with pytest.raises(ValueError, match=words):
        data.load(config(**settings))


def test_another_modality_is_other_data():
    """By this latents are kept: those of T1 were taken for FLAIR's."""
    md5s = [data.load(config(modality=name)).info.md5 for name in ("", "t1w", "flair")]
    assert len(set(md5s)) == 3
