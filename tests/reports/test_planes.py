"""Planes of volumes: which way is up, in what proportions, and on every picture of the page."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msflow_jax.reports import build_report, figures
from msflow_jax.reports.overlays import overlay
from msflow_jax.reports.planes import caption, flat, three_planes
from tests.reports.workdirs import Page, make_likelihoods, make_workdir

sides = st.integers(1, 7)


@given(space=st.tuples(sides, sides, sides), data=st.data())
def test_each_plane_shows_its_voxels_the_right_way_up(space, data):
    d, h, w = (data.draw(st.integers(0, side - 1)) for side in space)
    volume = np.random.default_rng(0).integers(0, 256, (*space, 1), dtype=np.uint8)
    row = three_planes(volume, (d, h, w))
    tall, deep, wide = space
    height = max(tall, deep)
    assert row.shape == (height, 2 * wide + deep + 2, 1)  # and a line twice
    top = (height - deep) // 2
    axial = row[top : top + deep, :wide]
    top = (height - tall) // 2
    coronal, sagittal = (
        row[top : top + tall, wide + 1 : 2 * wide + 1],
        row[top : top + tall, -deep:],
    )
    np.testing.assert_array_equal(axial, volume[d])  # front on top, the patient's right on the left
    np.testing.assert_array_equal(coronal, volume[::-1, h])  # the head, which is last, on top
    np.testing.assert_array_equal(sagittal, volume[::-1, :, w])  # the front on the left


def test_voxels_that_are_no_cubes_keep_their_proportions_and_channels():
    row = three_planes(np.full((4, 6, 5, 3), 9, np.uint8), spacing=(5.0, 2.5, 2.5))
    assert row.shape == (8, 5 + 1 + 5 + 1 + 6, 3) and (row[:, 6:11] == 9).all()


@pytest.mark.parametrize(
    ("volume", "at", "words"),
    [
        (np.zeros((2, 3, 4), np.uint8), None, r"uint8 \[D, H, W, C\]"),
        (np.zeros((2, 3, 4, 1)), None, "float64"),
        (np.zeros((2, 3, 4, 1), np.uint8), (2, 0, 0), "2, 0, 0 lies outside"),
        (np.zeros((2, 3, 4, 1), np.uint8), (0, -1, 0), "outside"),
    ],
)
def test_what_is_no_volume_is_refused(volume, at, words):
    with pytest.raises(ValueError, match=words):
        three_planes(volume, at)


def test_pictures_stay_and_volumes_become_rows():
    pictures = np.zeros((2, 4, 4, 1), np.uint8)
    assert flat(pictures) is pictures and flat(pictures[:, None]).shape == (2, 4, 14, 1)
    assert figures.thumbnails(np.zeros((1, 200, 200, 200, 1), np.uint8), 50).shape[2] <= 150
    png = figures.image_grid(pictures[:, None], np.array([0, 1]), ["a", "b"])
    assert png.startswith(b"\x89PNG")


def test_the_words_say_what_is_known_of_the_orientation():
    assert caption(2) == ""
    assert "patient's right on the left" in caption(3, (2.0, 1.0, 1.0))
    assert "is not known" in caption(3)


def test_a_map_lies_over_a_volume_voxel_by_voxel():
    values = np.zeros((3, 4, 5))
    values[1, 2, 3] = 1
    over = overlay(np.full((3, 4, 5, 1), 100, np.uint8), values, blur=0)
    assert over.shape == (3, 4, 5, 3) and np.argwhere((over != 100).any(-1)).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("make", [make_workdir, make_likelihoods])
def test_every_picture_of_a_page_can_be_a_volume(tmp_path, make):
    path = make(tmp_path / "run")
    archive = dict(np.load(path / "evaluation.npz"))
    for key, array in archive.items():
        if array.dtype == np.uint8 and array.ndim >= 4:
            archive[key] = np.stack([array] * 3, axis=-4)
        elif key in ("explain_map", "explain_contrast"):
            archive[key] = np.stack([array] * 3, axis=-3)
    np.savez(path / "evaluation.npz", **archive)
    found = json.loads((path / "evaluation.json").read_text())
    found["data"] |= {"space": [3, 8, 8], "spacing": [4.0, 2.0, 2.0]}
    (path / "evaluation.json").write_text(json.dumps(found))
    page = Page(build_report(path).read_text(encoding="utf-8"))
    assert page.text.count("the axial one seen from the feet") >= 3
    assert page.tags.count("img") > 20 and not page.images_without_alt
