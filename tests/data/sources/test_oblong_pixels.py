"""Pictures whose pixels are not square though no PixelSpacing says so: screens, detectors and films."""

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.slices import Slices
from msflow_jax.data.sources import sliced
from msflow_jax.data.sources.items import Item
from msflow_jax.data.sources.reading import read_picture, upright
from msflow_jax.data.sources.restoring import read_segmentable
from tests.data.sources.dicom.dicom_objects import RAMP, make_object, mono, read
from tests.data.sources.listings.test_files import load

pytest.importorskip("pydicom")
RATIOS = {
    "PixelAspectRatio": ([2, 1], (2, 1)),
    "ImagerPixelSpacing": ([0.2, 0.4], (1, 2)),
    "NominalScannedPixelSpacing": ([0.6, 0.2], (3, 1)),
}


def fill(root, **extra):
    """Twelve ultrasound pictures of 8 x 16, of two classes."""
    for i in range(12):
        values = np.random.default_rng(i).integers(0, 256, (8, 16), np.uint8)
        make_object(
            root / "ab"[i % 2] / f"{i}.dcm",
            values,
            modality="US",
            patient=f"P{i}",
            series=i,
            **extra,
        )
    return root


@pytest.mark.parametrize("keyword", RATIOS)
def test_only_the_ratio_is_taken(keyword):
    given, ratio = RATIOS[keyword]
    picture = read(mono(RAMP, **{keyword: given}))
    assert picture.spacing == () and picture.notes == ()
    assert picture.aspect == picture.proportions == pytest.approx(ratio)
    sized = read(mono(RAMP, **{keyword: given}, PixelSpacing=[0.5, 0.5]))
    assert sized.proportions == sized.spacing == (0.5, 0.5) and sized.aspect == ()
    assert read(mono(RAMP, **{keyword: [1, 1]})).proportions == ()


@pytest.mark.parametrize("given", [[0, 1], [-1, 2], [3], [1, 1000]])
def test_what_is_no_ratio_is_ignored_and_said(given):
    picture = read(mono(RAMP, PixelAspectRatio=given))
    assert picture.aspect == () and "PixelAspectRatio of" in picture.notes[0]


def test_a_slice_that_is_turned_turns_its_ratio():
    place = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [0, 1, 0, 1, 0, 0]}
    picture = upright(read(mono(RAMP, PixelAspectRatio=[2, 1], **place)))
    assert picture.space == RAMP.shape[::-1] and picture.aspect == (1, 2) and picture.spacing == ()
    assert upright(read(mono(RAMP, **place))).proportions == ()


def test_pictures_are_made_square_in_training_and_after(tmp_path):
    root = fill(tmp_path / "d", PixelAspectRatio=[2, 1])
    splits = load(root, side=0)  # 8 rows twice as tall as 16 columns are wide
    assert splits.info.shape == (16, 16, 1) and splits.info.spacing == ()
    images, _ = data.read_images(root, splits.info)
    assert images.shape == (12, 16, 16, 1)
    _, (one,) = read_segmentable(root / "a" / "0.dcm", splits.info, Slices())
    back = one.restore(images[:1, ..., 0], np.zeros((1, 16, 16), np.float32))
    assert back.maps.shape == (8, 16) and back.spacing == () and not back.unseen.any()


def test_frames_of_a_loop_are_slices_with_that_ratio(tmp_path):
    loop = make_object(
        tmp_path / "loop.dcm", np.stack([RAMP] * 5), modality="US", PixelAspectRatio=[2, 1]
    )
    whole = read_picture(loop)
    assert whole.dims == 3 and whole.proportions == () and whole.aspect == (2, 1)
    grids = sliced.grids_of(Item("loop.dcm", (loop,), "dicom"))
    square = np.repeat(np.arange(6, dtype=np.uint8), 4).reshape(6, 4)
    images = np.stack([square[..., None]] * 5)
    found = sliced.SlicedVolume(
        Item("loop.dcm", (loop,), "dicom"), images, "axial", *grids, "stretch"
    )
    assert found.join(images, nearest=True).space == (5, 3, 4)
