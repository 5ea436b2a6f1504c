"""Images on another scale than those of their data set are named; a map sees all of a volume."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from msflow_jax import data
from msflow_jax.data import read_images
from msflow_jax.data.intensity import Intensity, fit_percentiles
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.grey.levels import SAMPLE, fit, sample, to_grey
from tests.data.sources.cohort.cohorts import save
from tests.data.sources.grey.test_shades import COUNT, by_cohort, by_manifest, told
from tests.data.sources.grey.test_values import images_of_12_bits

SAID = ("nearly", "hardly", "as bright")
SPACE = (6, 24, 24)
READERS = pytest.mark.parametrize("read", [by_manifest, by_cohort])


def head(i, gain=1):
    """Air around a head whose tissue has the values of one protocol, and a subject's own gain."""
    rng = np.random.default_rng(i)
    values = np.abs(rng.normal(0, 8, SPACE))
    own = rng.uniform(0.7, 1.4)
    values[:, 5:19, 5:19] = rng.uniform(250, 750, (6, 14, 14)) * own
    return (values * gain).astype(np.int32)


def heads(folder, gains):
    """Ten heads, some of them on another scale."""
    names = [f"v{i}.nii.gz" for i in range(COUNT)]
    for i, name in enumerate(names):
        save(folder / name, head(i, gains.get(i, 1)), spacing=(3, 1, 1))
    return names


def places(space):
    """A volume's values are the places of its voxels along one axis."""
    return [np.broadcast_to(at, space) for at in np.indices(space, sparse=True, dtype=np.float32)]


@pytest.mark.parametrize(
    "space", [(128, 128, 128), (64, 256, 256), (16, 512, 512), (100, 512, 512), (160, 256, 256)]
)
def test_a_sample_has_its_values_from_everywhere(space):
    for side, values in zip(space, places(space), strict=True):
        found = sample(Picture(values[..., None]))
        shares = np.histogram(found, 8, (0, side))[0] / len(found)
        np.testing.assert_allclose(shares, 1 / 8, atol=0.015)


@settings(max_examples=20)
@given(st.tuples(*[st.integers(1, 80)] * 3), st.integers(0, 2**31))
def test_a_sample_is_of_the_values_and_always_the_same(space, seed):
    values = np.random.default_rng(seed).permutation(int(np.prod(space))).reshape(*space, 1)
    found = sample(Picture(values.astype(np.int32)))
    assert len(np.unique(found)) == len(found) <= 2 * SAMPLE
    assert len(found) >= min(values.size, SAMPLE)
    np.testing.assert_array_equal(found, sample(Picture(values.astype(np.int32))))


@READERS
@pytest.mark.parametrize("dims", [2, 3])
def test_subjects_of_one_protocol_are_alike(tmp_path, read, dims):
    assert told(lambda: read(tmp_path, heads(tmp_path, {}), dims=dims), SAID) == []


@READERS
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("gain", [8, 0.125])
def test_training_subjects_of_another_gain_are_named(tmp_path, read, dims, gain):
    names = heads(tmp_path, {2: gain})
    training, *_ = told(lambda: read(tmp_path, names, dims=dims), SAID)
    assert "1 of 6 training images are 3 times as bright" in training
    assert "or as dark: " in training and "v2.nii.gz" in training


@READERS
@pytest.mark.parametrize("gain", [5, 20])
def test_a_head_for_test_that_would_be_a_silhouette_is_named(tmp_path, read, gain):
    names = heads(tmp_path, {9: gain})
    (line,) = told(lambda: read(tmp_path, names, dims=3))
    assert "1 of 4 images for validation and test lie for the most part above" in line
    assert "v9.nii.gz" in line


@READERS
def test_a_head_for_test_that_is_far_too_dark_is_named(tmp_path, read):
    (line,) = told(lambda: read(tmp_path, heads(tmp_path, {9: 1 / 8}), dims=3), SAID)
    assert "1 of 4 images for validation and test are 3 times as bright" in line
    assert "v9.nii.gz" in line


@pytest.mark.parametrize("dims", [2, 3])
def test_a_head_to_classify_that_would_be_a_silhouette_is_named(tmp_path, dims):
    info = by_manifest(tmp_path, heads(tmp_path, {}), dims=dims).info
    save(tmp_path / "new.nii.gz", head(50, 5), spacing=(3, 1, 1))
    with pytest.warns(UserWarning, match="1 of 1 volumes lie for the most part above .*white: new"):
        read_images(tmp_path / "new.nii.gz", info)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_ct_for_a_model_of_mr_is_named(tmp_path, dims):
    """A NIfTI says neither what it is nor its unit: values that no MR has do."""
    info = by_manifest(tmp_path, heads(tmp_path, {}), dims=dims).info
    save(tmp_path / "ct.nii.gz", head(50) * 2 - 1000, spacing=(3, 1, 1))
    save(tmp_path / "mr.nii.gz", head(51) - 150, spacing=(3, 1, 1))
    words = r"1 of 1 volumes hold values below -200, .*Hounsfield units; .*: ct.*, -1000 to"
    with pytest.warns(UserWarning, match=words) as seen:
        read_images(tmp_path / "ct.nii.gz", info)
    assert sum("Hounsfield" in str(one.message) for one in seen) == 1
    assert not told(lambda: read_images(tmp_path / "mr.nii.gz", info), ("Hounsfield",))


@pytest.mark.parametrize("top", [1, 15])
def test_a_picture_of_8_bits_that_uses_hardly_any_is_named(tmp_path, top):
    folder = images_of_12_bits(tmp_path / "images")
    for path in sorted(folder.rglob("*.png")):
        deep = np.asarray(Image.open(path))
        Image.fromarray((deep // 16).astype(np.uint8)).save(path)
    info = by_manifest(folder, [f"{k}/{i}.png" for k in ("ill", "well") for i in range(5)]).info
    grey = np.random.default_rng(0).integers(0, top + 1, (8, 8), np.uint8)
    Image.fromarray(grey).save(tmp_path / "new.png")
    with pytest.warns(UserWarning, match="1 of 1 pictures use less than 1/16 .*0 to 255.*new"):
        read_images(tmp_path / "new.png", info)


def test_every_volume_weighs_alike_however_many_slices_it_has():
    one, *many = (np.linspace(low, low + 100, 501) for low in (0, 100, 300, 500, 700))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fit([("a", one), *(("b", part) for part in many)], "MR", "x")
    wanted = fit_percentiles([one, np.concatenate(many)], modality="MR")
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.low < 2 and found.modality == "MR"


@pytest.mark.parametrize("kind", ["range", "window", "full"])
def test_where_there_is_no_value_it_is_black(kind):
    values = np.array([[[0], [200], [200]]], np.uint8 if kind == "full" else np.uint16)
    missing = np.array([[True, False, True]])
    grey = to_grey(Picture(values, missing=missing), Intensity(kind, 0.0, 255.0), "a")
    assert grey.ravel().tolist() == [0, 200, 0]


@pytest.mark.parametrize(
    ("window", "slices", "said"),
    [((0.0, 80.0), 0.0, "data.window"), ((-1024.0, 1024.0), 0.25, "data.slices"),
     ((-1024.0, 1024.0), 0.0, "")],
)  # fmt: skip
def test_settings_of_ct_and_of_volumes_are_named_for_plain_pictures(tmp_path, window, slices, said):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{'ab'[i % 2]}")
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
    config = data.default_config("manifest")
    config.root, config.window, config.slices.first = str(tmp_path / "t.csv"), window, slices
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.load(config)
    lines = [str(w.message) for w in caught]
    assert len(lines) == bool(said) and all(f"{said}" in x and "has no effect" in x for x in lines)
