"""Explained volumes: three planes through what speaks loudest, and maps that other programs open."""

import io

import numpy as np

from msflow_jax.commands import explain
from msflow_jax.coupling import Explanation
from msflow_jax.data.sources.nifti.reading import read_nifti
from msflow_jax.inference.explained import draw, panels, scales
from msflow_jax.reports.overlays import NEGATIVE, POSITIVE

SIDES, SPACING = (4, 6, 8), (3.0, 1.0, 1.0)


def test_the_planes_go_through_the_voxel_that_speaks_loudest():
    volume, ratio = np.full((*SIDES, 1), 90, np.uint8), np.zeros(SIDES)
    ratio[3, 1, 6] = 9.0
    picture = np.vstack(panels(volume, np.zeros(SIDES), ratio))
    height = len(picture) // 3
    red = (np.abs(picture.astype(int) - POSITIVE).sum(axis=-1) < 150).reshape(3, height, -1)
    assert not red[:2].any() and red[2].any()
    reddish = np.flatnonzero(red[2].any(axis=0))
    assert (np.diff(reddish) > 1).sum() == 2  # in each of the three planes
    thick = np.vstack(panels(volume, np.zeros(SIDES), ratio, SPACING))
    assert thick.shape[0] / thick.shape[1] != picture.shape[0] / picture.shape[1]


def test_pictures_of_a_call_have_one_scale_which_they_show():
    from PIL import Image

    ratios = np.stack([np.full((8, 8), 4.0), np.full((8, 8), -1.0)])
    limits = scales(np.zeros((2, 8, 8)), ratios)
    assert limits == (1.0, 4.0)  # nothing to show; the larger of both
    image = np.full((8, 8, 1), 90, np.uint8)
    none, strong, weak = (
        panels(image, np.zeros((8, 8)), one, (), limits)[2] for one in (np.zeros((8, 8)), *ratios)
    )
    away = [np.abs(one[0, 0].astype(int) - none[0, 0]).sum() for one in (strong, weak)]
    assert away[0] > 2 * away[1] > 0
    png = draw(image, np.zeros((8, 8)), ratios[1], ("a", "b"), limits)
    shown = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    exact = (shown == weak[0, 0]).all(axis=-1)
    assert exact.sum() >= weak[..., 0].size  # every pixel of the panel, undisturbed
    for end in (POSITIVE, NEGATIVE):  # of a bar, over grey
        assert (np.abs(shown.astype(int) - end).sum(axis=-1) < 60).any()


def test_maps_are_written_as_nifti_and_known_when_replaced(tmp_path):
    rng = np.random.default_rng(0)
    maps = Explanation(*(rng.normal(size=(2, *SIDES)).astype(np.float32) for _ in range(2)))
    images = rng.integers(0, 256, (3, *SIDES, 1)).astype(np.uint8)
    shown = [
        {"name": n, "prediction": "a", "class": "a", "against": "b"} for n in ("x.nii.gz", "y", "z")
    ]
    rows = explain.write(tmp_path, images, shown, np.zeros(3), np.ones(3), maps, [SPACING] * 3)
    assert len(rows) == 2  # as many as were explained
    for row, values, ratio in zip(rows, maps.map, maps.log_ratio, strict=True):
        for column, expected in (("likelihood_map", values), ("log_ratio_map", ratio)):
            read = read_nifti(tmp_path / row[column])
            np.testing.assert_array_equal(read.values[..., 0], expected)
            np.testing.assert_allclose(read.spacing, SPACING, rtol=1e-6)
        assert float(row["log_likelihood_ratio"]) == round(float(ratio.sum(dtype=np.float64)), 4)
    assert sorted(explain.written_before(tmp_path)) == sorted(p.name for p in tmp_path.iterdir())
