"""Volumes that are to be classified: read as those trained on were, or refused."""

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.data.sources.nifti.writing import write_nifti
from tests.data.sources.dicom.dicom_objects import make_object, make_series
from tests.data.sources.listings.test_files import load, write_csv
from tests.data.sources.volumes.head_files import SPACE, SPACING, as_nifti, as_series, head, of

pytestmark = pytest.mark.filterwarnings("ignore:.*(volumes? read as|has one training image)")


@pytest.fixture
def trained(tmp_path):
    return load(as_series(tmp_path / "trained")).info


def test_what_is_classified_is_read_alike(tmp_path, trained):
    as_nifti(tmp_path / "other")
    with pytest.warns(UserWarning, match="1 of 1 volumes do not say what they are; .* are MR"):
        images, names = data.read_images(tmp_path / "other" / "ill" / "3.nii.gz", trained)
    series, of_files = data.read_images(tmp_path / "trained" / "ill" / "3", trained)
    assert names == tuple(f"3.nii.gz/{i:03d}" for i in range(5)) and of_files[0].endswith(".dcm")
    assert {image.tobytes() for image in images} == {image.tobytes() for image in series}
    np.testing.assert_array_equal(images[..., 0], trained.intensity().to_grey(head(3)))


def test_axis_and_range_of_the_slices_are_those_trained_on(tmp_path):
    how = {"axis": "coronal", "first": 0.3, "last": 0.7, "spacing": 2.0}
    as_nifti(tmp_path)
    splits = load(tmp_path, slices=how, side=8)
    images, names = data.read_images(tmp_path / "ill" / "0.nii.gz", splits.info, resize=True)
    assert names == ("0.nii.gz/002", "0.nii.gz/004")
    np.testing.assert_array_equal(images, of(splits, "ill/0")[0])
    with pytest.warns(UserWarning, match="1 volume read as 2 coronal slices"):
        data.read_images(tmp_path / "ill" / "0.nii.gz", splits.info, resize=True)


@pytest.mark.parametrize(
    ("modality", "values", "words"),
    [
        ("CT", head(0), "is CT, the images trained on are MR"),
        (
            "MR",
            head(0, np.uint8),
            "has 8 bits .*trained on more .percentiles of the training subjects",
        ),
    ],
)
def test_other_values_than_those_trained_on(tmp_path, trained, modality, values, words):
    make_series(tmp_path / "other", values, modality=modality, spacing=SPACING)
    with pytest.raises(ValueError, match=words):
        data.read_images(tmp_path / "other", trained)


def test_an_mr_of_another_scale_is_said(tmp_path, trained):
    make_series(tmp_path / "other", head(3) * np.int16(20), modality="MR", spacing=SPACING)
    with pytest.warns(UserWarning, match="1 of 1 volumes lie for the most part above"):
        data.read_images(tmp_path / "other", trained)


def test_a_volume_for_a_model_of_volumes(tmp_path):
    splits = load(as_nifti(tmp_path / "trained"), dims=3)
    images, names = data.read_images(tmp_path / "trained" / "ill", splits.info)
    assert images.shape == (5, *SPACE, 1) and names[0] == "0.nii.gz"
    np.testing.assert_array_equal(images[:1], of(splits, "ill/0")[0])
    write_nifti(tmp_path / "thick.nii", head(3), spacing=(5.0, 1.0, 1.0))
    with pytest.raises(
        ValueError, match=r"thick.nii has voxels of 5 x 1 x 1 mm, those trained on 2"
    ):
        data.read_images(tmp_path / "thick.nii", splits.info)
    write_nifti(tmp_path / "large.nii", head(3, space=(5, 16, 8)), spacing=SPACING)
    with pytest.raises(ValueError, match="has 5 x 16 x 8 voxels, the model reads 5 x 8 x 8"):
        data.read_images(tmp_path / "large.nii", splits.info)
    resized, _ = data.read_images(tmp_path / "large.nii", splits.info, resize=True)
    assert resized.shape == (1, *SPACE, 1)
    Image.fromarray(head(0, np.uint8)[0]).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png is a picture, not a volume"):
        data.read_images(tmp_path / "a.png", splits.info)
    (tmp_path / "drawn" / "planes").mkdir(parents=True)
    for name in ("large.nii", "planes/large.png"):
        source = tmp_path / ("large.nii" if name.endswith("nii") else "a.png")
        (tmp_path / "drawn" / name).write_bytes(source.read_bytes())
    with pytest.warns(UserWarning, match=r"1 pictures among 1 volumes .*: planes/large\.png"):
        _, names = data.read_images(tmp_path / "drawn", splits.info, resize=True)
    assert names == ("large.nii",)
    make_object(tmp_path / "one.dcm", head(0)[0], modality="MR")
    with pytest.raises(ValueError, match=r"one\.dcm is a picture, not a volume"):
        data.read_images(tmp_path / "one.dcm", splits.info)


def test_voxels_that_became_cubes_in_training_do_so_afterwards(tmp_path):
    """Also those of a volume that has as many as the model reads: none would tell."""
    as_nifti(tmp_path / "trained")
    write_nifti(
        tmp_path / "trained" / "ill" / "0.nii.gz", head(0, space=(8, 8, 8)), spacing=SPACING
    )
    splits = load(tmp_path / "trained", dims=3, side=8)
    file = tmp_path / "trained" / "ill" / "0.nii.gz"
    assert splits.info.volumes == {"scaled": True}
    again, _ = data.read_images(file, splits.info, resize=True)
    np.testing.assert_array_equal(again, of(splits, "ill/0")[0])
    assert not again[0, :, 0].any() and again[0, :, 4].any()  # 16 x 8 x 8 mm, padded
    with pytest.raises(
        ValueError, match="voxels of 2 x 1 x 1 mm, those trained on are cubes; --res"
    ):
        data.read_images(file, splits.info)
    write_nifti(tmp_path / "cubes.nii", head(0, space=(8, 8, 8)), spacing=(2.0, 2.0, 2.0))
    assert data.read_images(tmp_path / "cubes.nii", splits.info)[0].shape == (1, 8, 8, 8, 1)


def test_voxels_are_brought_to_one_size_before_they_are_cut(tmp_path):
    splits = load(as_nifti(tmp_path), dims=3, spacing=2.0, side=6)
    assert splits.info.spacing == (2.0, 2.0, 2.0) and splits.info.space == (6, 6, 6)
    image = of(splits, "ill/0")[0][0, ..., 0]
    assert not image[5].any() and not image[:, 0].any() and image[3, 3].any()  # 5 x 4 x 4 and a rim
    again, _ = data.read_images(tmp_path / "ill" / "0.nii.gz", splits.info, resize=True)
    np.testing.assert_array_equal(again[0, ..., 0], image)


def test_volumes_of_several_grids(tmp_path):
    as_nifti(tmp_path)
    write_nifti(tmp_path / "ill" / "0.nii.gz", head(0, space=(5, 9, 8)), spacing=SPACING)
    with pytest.raises(
        ValueError, match=r"has 5 x 8 x 8 voxels, those before it 5 x 9 x 8: .*side=64"
    ):
        load(tmp_path, dims=3)
    write_nifti(tmp_path / "ill" / "0.nii.gz", head(0), spacing=(2.0, 1.0, 1.5))
    with pytest.warns(UserWarning, match="another size in each; --config.data.spacing"):
        assert load(tmp_path, dims=3).info.spacing == ()


def test_slices_of_voxels_that_are_no_cubes_keep_their_shape(tmp_path):
    splits = load(as_nifti(tmp_path), slices={"axis": "coronal"}, side=10)
    image = of(splits, "ill/0")[0][0, ..., 0]  # 5 rows of 2 mm, 8 columns of 1 mm: 10 x 8 pixels
    assert image[:, 1:9].any(axis=0).all() and not image[:, [0, 9]].any()


def test_labelled_volumes_from_elsewhere(tmp_path, trained):
    from msflow_jax.data import read_labelled

    as_series(tmp_path / "other")
    found = read_labelled(tmp_path / "other", trained)
    assert found.labels.tolist() == [0] * 25 + [1] * 25 and len(set(found.groups)) == 10
    assert set(found.truth) == {"volume", "slice"}
    table = write_csv(
        tmp_path / "other" / "list.csv", "path,label,scanner", "ill/0,ill,A", "well/3,well,B"
    )
    listed = read_labelled(table, trained)
    assert listed.labels.tolist() == [0] * 5 + [1] * 5
    assert listed.truth["scanner"].tolist() == ["A"] * 5 + ["B"] * 5
    assert listed.truth["slice"].tolist() == [*range(5)] * 2


def test_an_archive_of_volumes_is_read_as_training_was(tmp_path):
    """One of twice the side is averaged, as MedMNIST's are: voxel by voxel."""
    volumes = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "v.npz", test_images=volumes)
    info = data.Info(
        "x", ("a", "b"), 1, 4, "binary-class", "", "", "", (), fit="pad", space=(4, 4, 4)
    )
    with pytest.raises(ValueError, match="has 8 x 8 x 8 voxels, the model reads 4 x 4 x 4"):
        data.read_images(f"{tmp_path / 'v.npz'}:test", info)
    read, names = data.read_images(f"{tmp_path / 'v.npz'}:test", info, resize=True)
    cubes = volumes.reshape(3, 4, 2, 4, 2, 4, 2).mean(axis=(2, 4, 6))
    np.testing.assert_array_equal(read[..., 0], np.rint(cubes).astype(np.uint8))
    assert names[0] == "test/00000"
    flat = data.Info("x", ("a", "b"), 1, 8, "binary-class", "", "", "", ())
    with pytest.raises(ValueError, match=r"expected numbers \[N, S, S\], .* reads pictures"):
        data.read_images(f"{tmp_path / 'v.npz'}:test", flat)
