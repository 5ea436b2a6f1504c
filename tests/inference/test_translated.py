"""Translations of volumes as files, whatever their channels and values."""

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from PIL import Image

from msflow_jax.commands import translate
from msflow_jax.data.base import own_info
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.finding import file_names
from msflow_jax.data.sources.nifti.reading import read_nifti
from msflow_jax.data.sources.volumes.orientation import centred_affine
from msflow_jax.inference.translated import (
    FOLDERS,
    Sources,
    warn_of_unseen,
    write_translation,
    write_volume,
)
from msflow_jax.inference.translated_preview import write_preview

AFFINE = centred_affine((2, 4, 4), (3.0, 1.0, 1.0))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("unit", ["", "HU"])
def test_files_hold_the_units_of_the_target(tmp_path, channels, unit):
    shape = (4, 4, channels)
    info = own_info(("a", "b"), shape, name="folder", licence="", md5="", source="")
    if unit:
        map_ = Intensity("window", -100.0, 155.0, unit)  # 1 HU to a level
        info = replace(info, intensities={"image": map_})
    for part in FOLDERS:
        (tmp_path / part).mkdir()
    draws = np.random.default_rng(0).integers(0, 256, (3, 2, *shape), dtype=np.uint8)
    said = write_volume(tmp_path, "a", draws, lambda x: Picture(x, AFFINE), info)
    mean, spread, *samples = (read_nifti(tmp_path / name).values for name in said["files"])
    low = -100 if unit else 0
    grey = draws.astype(float)
    expected = (samples, grey + low), ([mean], grey.mean(axis=0)[None] + low)
    for found, values in expected:
        if unit:  # colours are of 8 bits, and are averaged where values are not
            values = values.mean(axis=-1, keepdims=True)
        np.testing.assert_allclose(np.stack(found), values, atol=1.01)
    deviation = grey.std(axis=0, ddof=1)
    np.testing.assert_allclose(spread, deviation.mean(axis=-1, keepdims=True), atol=0.01)
    assert said["mean_spread"] == pytest.approx(deviation.mean() / 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_voxels_are_written_in_the_order_of_the_source_file(tmp_path, channels):
    """Whose axes run from front to back, from above to below, and from left to right."""
    rng = np.random.default_rng(0)
    axes = np.array([[0.0, 0, -2, 9], [-3, 0, 0, 8], [0, -4, 0, 7], [0, 0, 0, 1]])
    shape = (2, 3, 4)
    nibabel.save(
        nibabel.Nifti1Image(rng.integers(0, 256, shape, dtype=np.uint8), axes), tmp_path / "a.nii"
    )
    source = read_nifti(tmp_path / "a.nii")
    draws = rng.integers(0, 256, (2, *source.space, channels), dtype=np.uint8)
    info = own_info(("a", "b"), (4, 4, channels), name="folder", licence="", md5="", source="")
    for part in FOLDERS:
        (tmp_path / part).mkdir()
    said = write_volume(
        tmp_path, "a", draws, lambda x: Picture(x, source.affine), info, tmp_path / "a.nii"
    )
    for name, expected in zip(said["files"][2:], draws, strict=True):
        file = nibabel.load(tmp_path / name)
        assert file.shape[:3] == shape and np.array_equal(file.affine, axes)
        # Read as the source is read, it is what was drawn.
        np.testing.assert_array_equal(read_nifti(tmp_path / name).values, expected)


@pytest.mark.parametrize("channels, unit", [(1, ""), (3, ""), (1, "HU")])
def test_the_spread_of_a_drawn_volume_has_the_unit_of_the_record(tmp_path, channels, unit):
    """It was levels of which 255 is a quarter of the range."""
    shape = (4, 5, 6, channels)
    info = own_info(("a", "b"), shape, name="folder", licence="", md5="", source="")
    if unit:  # 8 HU to a level
        info = replace(info, intensities={"image": Intensity("window", -1020.0, 1020.0, unit)})
    for part in FOLDERS:
        (tmp_path / part).mkdir()
    draws = np.random.default_rng(0).integers(90, 110, (8, *shape), dtype=np.uint8)
    said = write_translation(tmp_path, "a", draws, info, "nifti", "ct of t1w")
    expected = draws.astype(float).std(axis=0, ddof=1).mean(axis=-1) * (8 if unit else 1)
    found = read_nifti(tmp_path / said["files"][1]).values
    assert found.dtype == np.float32 and found.shape == (*shape[:3], 1)
    np.testing.assert_allclose(found[..., 0], expected, rtol=1e-5)


@pytest.mark.parametrize("stored", [True, False])
def test_what_a_crop_cut_off_has_no_spread(tmp_path, stored):
    """It was written as air of which all draws are certain."""
    shape = (4, 4, 1)
    info = own_info(("a", "b"), shape, name="folder", licence="", md5="", source="")
    info = replace(info, intensities={"image": Intensity("window", -100.0, 155.0, "HU")})
    for part in FOLDERS:
        (tmp_path / part).mkdir()
    missing = np.zeros((2, 4, 6), bool)
    missing[..., [0, 5]] = True
    like = nibabel.Nifti1Image(np.zeros((6, 4, 2), np.uint8), np.diag([-1.0, 1, 1, 1]))
    nibabel.save(like, tmp_path / "like.nii")
    file = tmp_path / "like.nii" if stored else None

    def join(images):
        wide = np.zeros((2, 4, 6, 1), images.dtype)
        wide[:, :, 1:5] = images
        return Picture(wide, centred_affine((2, 4, 6), ()), missing=missing)

    draws = np.random.default_rng(0).integers(50, 256, (3, 2, *shape), dtype=np.uint8)
    said = write_volume(tmp_path, "a", draws, join, info, file)
    assert said["unseen_share"] == pytest.approx(1 / 3)
    mean, spread, *_ = (nibabel.load(tmp_path / name).get_fdata() for name in said["files"])
    assert np.isnan(spread[[0, 5]]).all() and np.isfinite(spread[1:5]).all()
    assert (mean[[0, 5]] == -100).all()
    with pytest.warns(UserWarning, match=r"1 of 2 volumes .*\(a.nii: 33.3%; data.fit.*fit=pad"):
        warn_of_unseen([{"name": "b.nii", "unseen_share": 0.0}, {"name": "a.nii", **said}])
    whole = write_volume(tmp_path, "b", draws, lambda x: Picture(x, AFFINE), info)
    warn_of_unseen([{"name": "c.png"}, {"name": "b.nii", **whole}])  # silent
    assert whole["unseen_share"] == 0


@pytest.mark.parametrize("kind", ["nifti", "png", "volume"])
def test_one_draw_has_no_spread(tmp_path, kind):
    """It was 0, as if all draws agreed."""
    shape = (2, 4, 4, 1) if kind == "nifti" else (4, 4, 1)
    info = own_info(("a", "b"), shape, name="folder", licence="", md5="", source="")
    for part in FOLDERS:
        if part != "spread":
            (tmp_path / part).mkdir()
    draws = np.random.default_rng(0).integers(0, 256, (1, *shape), dtype=np.uint8)
    if kind == "volume":
        missing = np.zeros((2, 4, 4), bool)
        missing[0] = True
        draws = draws[:, None].repeat(2, axis=1)
        said = write_volume(
            tmp_path, "a", draws, lambda x: Picture(x, AFFINE, missing=missing), info
        )
        with pytest.warns(UserWarning, match="it is in mean and samples the lowest value"):
            warn_of_unseen([{"name": "a", **said}])
    else:
        said = write_translation(tmp_path, "a", draws, info, kind, "ct of t1w")
    assert said["mean_spread"] is None
    assert [name.split("/")[0] for name in said["files"]] == ["mean", "samples"]
    assert not (tmp_path / "spread").exists()


@pytest.mark.parametrize("count", [1, 2])
def test_the_command_says_that_one_draw_has_no_spread(tmp_path, capsys, count):
    info = own_info(("a", "b"), (16, 16, 1), name="folder", licence="", md5="", source="")
    draws = np.random.default_rng(0).integers(0, 256, (count, 1, 16, 16, 1), dtype=np.uint8)
    given = Sources(draws[0], [("a.png", slice(0, 1), None)], "png")
    record = {"source": "t1w", "target": "ct", "format": "png"}
    assert translate.write(tmp_path, draws, given, info, record) == 1
    (image,) = json.loads((tmp_path / translate.RECORD).read_text())["images"]
    assert (image["mean_spread"] is None) == (count == 1) == (not (tmp_path / "spread").exists())
    assert ("one draw has no spread" in capsys.readouterr().out) == (count == 1)


def test_files_are_called_as_their_sources_where_that_tells_them_apart():
    assert file_names(["a/t1w.nii.gz", "b/t1w.nii.gz"]) == ["a-t1w", "b-t1w"]
    assert file_names(["t1w.nii.gz"]) == ["t1w"] and file_names(["1.2.840.10"]) == ["1-2-840-10"]
    assert file_names(["a.png", "a.jpg"]) == ["00000_a", "00001_a"]
    assert file_names(["a.png", "A.png"]) == ["00000_a", "00001_A"]
    assert file_names(["--.png", "images/00003"]) == ["00000_", "00001_images-00003"]


@pytest.mark.parametrize("space, count", [((4, 6), 9), ((4, 6), 1), ((3, 4, 6), 1)])
def test_a_preview_shows_source_mean_and_spread(tmp_path, space, count):
    info = own_info(("a", "b"), (*space, 1), name="folder", licence="", md5="", source="")
    rng = np.random.default_rng(0)
    source = rng.integers(0, 256, (count, 2, 2, 1), dtype=np.uint8) if len(space) == 2 else None
    draws = rng.integers(0, 256, (3, count, *space, 1), dtype=np.uint8)
    path = tmp_path / "p.png"
    write_preview(path, draws[0] if source is None else source, draws, ("t1w", "ct"), info)
    with Image.open(path) as image:
        wide, high = image.size
    assert high > (1 if count == 1 else 3) * 100 and wide > 300
    source = draws[0] if source is None else source
    write_preview(path, source, draws[:1], ("t1w", "ct"), info)  # has no spread
    with Image.open(path) as image:
        assert image.size[0] == pytest.approx(wide * 2 / 3, abs=2) and image.size[1] == high
