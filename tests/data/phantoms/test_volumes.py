"""Phantom volumes: the heads of slices, in physical units, and what CT and X-ray show of them."""

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.phantoms import anatomy, heads, tomography, volumes
from msflow_jax.data.phantoms.lesions import Lesions
from msflow_jax.data.phantoms.signals import SEQUENCES, TISSUES
from msflow_jax.data.phantoms.subjects import Subject, draw_subject
from msflow_jax.data.phantoms.tasks import MAP_CLASSES, tissue_map

SIDE = 16


def config(name="phantoms", **settings):
    made = data.default_config(name)
    made.dims, made.side = 3, SIDE
    made.phantoms.subjects = 10
    for key, value in settings.items():
        (made.phantoms if key in made.phantoms else made)[key] = value
    return made


@pytest.fixture(scope="module")
def subject(head):
    return draw_subject(np.random.default_rng((0, 3)), head, 4)


@pytest.fixture(scope="module")
def content(head, subject):
    return volumes.content(head, subject, 48)


@pytest.fixture(scope="module")
def splits(read_once):
    return data.load(config())


def without_warp(subject, centre):
    """A straight head with one lesion of 9 mm at a place in the template."""
    ball = Lesions(np.array([centre], float), np.eye(3)[None] / 9.0, np.array([1.0]))
    still = dict(
        pose=np.eye(3), shift=np.zeros(3), swings=np.zeros((6, 3)), swelling=0.0, lesions=ball
    )
    return Subject(**{**vars(subject), **still})


def test_volumes_and_slices_show_the_same_head(head, subject):
    side = 48
    z, y, x = volumes.axes(side)
    plane = int(np.argmin(np.abs(z - 20)))
    seen = volumes.content(head, subject, side)[plane]
    # Four points a pixel at one height, as slices have them, for the heights that a voxel averages.
    fine = z[plane] + volumes.HEIGHT / side * np.array([-0.25, 0.25])
    expected = np.mean([heads.shares(head, subject, h, side) for h in fine], axis=0)
    narrow = anatomy.load(2)
    np.testing.assert_allclose(
        heads.shares(narrow, subject, z[plane], side),
        heads.shares(head, subject, z[plane], side),
        atol=1e-6,
    )
    np.testing.assert_allclose(seen, expected, atol=0.1)  # the warp is linear between its knots
    assert np.abs(seen - expected).mean() < 0.001
    assert (np.diff(y) < 0).all() and (np.diff(x) < 0).all() and (np.diff(z) > 0).all()


def test_same_subjects_whatever_is_made_of_them(splits, read_once):
    flat = data.default_config()
    flat.phantoms.subjects = 10
    slices = data.load(flat)
    for split in ("train", "val", "test"):
        for key in ("subject", "severity"):
            assert set(slices[split].truth[key]) == set(splits[split].truth[key])


def test_shapes_and_facts(splits):
    info = splits.info
    assert info.space == (SIDE,) * 3 and info.dims == 3 and info.shape == (SIDE, SIDE, SIDE, 1)
    assert info.spacing == (176 / SIDE, 236 / SIDE, 236 / SIDE)
    assert data.Info.from_dict(info.to_dict()) == info
    assert splits.train.images.shape == (7, SIDE, SIDE, SIDE, 1)
    assert splits.train.maps.shape == (7, SIDE, SIDE, SIDE)
    assert splits.train.names[0] == splits.train.groups[0]
    assert info.classes == ("none", "mild", "moderate", "severe")


def test_lesion_volume_is_in_mm3_at_any_side(head, subject):
    found = [volumes.lesion_volume(volumes.content(head, subject, side)) for side in (12, 24)]
    assert found[0] == pytest.approx(found[1], rel=0.03)
    ball = without_warp(subject, (24, -20, 30))
    volume = volumes.lesion_volume(volumes.content(head, ball, 24))
    # A sphere of 9 mm is 3054 mm^3; a soft rim adds some, cortex within it takes some.
    assert 0.7 < volume / 3054 < 1.3


@pytest.mark.parametrize(
    ("centre", "corner"),
    [((28, 20, 45), (1, 0, 0)), ((-28, -40, 30), (0, 1, 1)), ((-30, 20, 15), (0, 0, 1))],
)
def test_axes_are_those_of_the_patient(head, subject, centre, corner):
    found = volumes.content(head, without_warp(subject, centre), 24)[..., -1]
    d, h, w = np.array(np.unravel_index(found.argmax(), found.shape))
    place = volumes.affine(24) @ (d, h, w, 1)
    np.testing.assert_allclose(place[:3], centre, atol=9)  # x right, y front, z up
    # Above the middle: later slices; behind it: later rows; the patient's left: later columns.
    assert (h > 11.5, w > 11.5) == (bool(corner[1]), bool(corner[2]))


def test_map_and_contrasts(subject, content):
    classes = tissue_map(content)
    assert set(np.unique(classes)) == set(range(len(MAP_CLASSES)))
    means = {}
    for name in SEQUENCES:
        image = volumes.magnitudes(content, subject, name, np.random.default_rng(1), 0.02, 0.0)
        assert image.min() >= 0 and image.shape == classes.shape
        means[name] = [image[classes == k].mean() for k in range(len(MAP_CLASSES))]
    air, csf, grey, white, _, lesion = range(6)
    assert means["t1w"][white] > means["t1w"][grey] > means["t1w"][csf] > 3 * means["t1w"][air]
    assert means["t2w"][csf] > means["t2w"][grey] > means["t2w"][white]
    assert means["flair"][lesion] > 1.5 * means["flair"][white] > 3 * means["flair"][csf]
    assert means["stir"][grey] > means["stir"][white]


def test_shading_is_smooth_and_around_one(content, subject):
    quiet, shaded = (
        volumes.magnitudes(content, subject, "pdw", np.random.default_rng(5), 0.0, bias)
        for bias in (0.0, 0.2)
    )
    inside = quiet > 0.4
    ratio = shaded[inside] / quiet[inside]
    assert 0.6 < np.median(ratio) < 1.5 and ratio.std() > 0.02


def test_the_skull_is_closed(content):
    """No way from the brain to the air of a head in the field but through bone."""
    from scipy.ndimage import label

    inside = tissue_map(content)
    clean = tomography.hounsfield(content, np.random.default_rng(0))
    soft = (clean < 300) & (np.arange(48) > 6)[:, None, None]  # above the cut of the brain stem
    regions, _ = label(soft)
    brain = np.unique(regions[(inside == 3) & soft])
    outside = np.unique(regions[(inside == 0) & soft & (clean < -500)])
    assert not set(brain[brain > 0]) & set(outside[outside > 0])


def test_hounsfield_units():
    pure = np.concatenate(
        [np.eye(len(TISSUES)), np.zeros((1, len(TISSUES)))]
    )  # the last one is air
    csf, grey, white, bone, fat, lesion, air = tomography.hounsfield(pure, np.random.default_rng(0))
    assert 0 <= csf <= 15 and 20 <= white <= 30 and 37 <= grey <= 45 and csf < lesion < white
    assert air == -1000 and -120 <= fat <= -90 and 700 <= bone <= 1200
    others = [tomography.hounsfield(pure, np.random.default_rng(k))[3] for k in range(300)]
    assert np.std(others) == pytest.approx(80, rel=0.15)
    image = tomography.scan(np.full((40, 40, 40), -1000.0), 0.02, np.random.default_rng(1))
    assert image.dtype == np.int16 and image.std() == pytest.approx(4.0, rel=0.02)
    assert tomography.scan(np.full(30, -1023.0), 0.5, np.random.default_rng(1)).min() == -1024


@pytest.mark.parametrize(("view", "axis"), [("frontal", 1), ("lateral", 2)])
def test_an_xray_is_a_line_integral(view, axis):
    side = 32
    clean = np.full((side,) * 3, -1000.0, np.float32)
    clean[8:24, 8:24, 4:12] = 0.0  # a block of water
    image = tomography.radiograph(clean, view, 0.0, np.random.default_rng(0))
    length = (16 if axis == 1 else 8) * 236 / side
    expected = 255 / tomography.WHITE * tomography.WATER * length
    assert image.dtype == np.uint8 and image.max() == pytest.approx(expected, abs=1)
    # Water of 0.206 per cm over 11.8 cm lets exp(-2.43) of the photons pass.
    rows, columns = np.flatnonzero(image.max(axis=1)), np.flatnonzero(image.max(axis=0))
    assert len(rows) == pytest.approx(16 * 176 / 236, abs=2)  # pixels are square
    assert columns.min() == (4 if axis == 1 else 8) and columns.max() == (11 if axis == 1 else 23)
    upper = clean.copy()
    upper[8:16] = -1000.0  # only the upper half is left: it lies above the middle row
    image = tomography.radiograph(upper, view, 0.0, np.random.default_rng(0))
    assert np.flatnonzero(image.max(axis=1)).max() <= side // 2


@pytest.mark.parametrize("task", ["scanner", "contrast"])
def test_other_tasks(task, read_once):
    made = data.load(config(task=task, side=8, subjects=14))
    assert made.info.classes == heads.TASKS[task].classes
    labels = np.concatenate([made[s].labels for s in ("train", "val", "test")])
    assert len(labels) == 14 and len(set(labels)) > 4
    assert made.train.images.shape[1:] == (8, 8, 8, 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"side": 4}, "side=4: phantoms are made at 8 to 256 voxels"),
        ({"spacing": 2.0}, "data.spacing=2: phantoms are made with the voxels that data.side"),
        ({"modality": "ct"}, "data.modality, .* are of phantom_cohort"),
        ({"withhold": "disjoint"}, "data.phantoms.withhold are of phantom_cohort"),
        ({"view": "top"}, "phantoms.view 'top': choose one of frontal, lateral"),
    ],
)
def test_settings_that_volumes_do_not_have(settings, words):
    with pytest.raises(ValueError, match=words):
        data.load(config(**settings))
