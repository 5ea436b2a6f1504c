"""Everything that can be wrong with a file of MedMNIST."""

import zipfile

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.sources.medmnist import loading as medmnist
from msflow_jax.data.sources.medmnist.table import TABLE
from tests.data.sources.medmnist.medmnist_files import arrays, config, load, write

pytestmark = pytest.mark.usefixtures("home")


def test_an_older_release_is_called_that(tmp_path, monkeypatch):
    path = write(tmp_path / "vesselmnist3d.npz", dims=3)
    older = TABLE["vesselmnist3d"].older[0]
    monkeypatch.setattr(medmnist, "file_md5", lambda _: older)
    with pytest.warns(UserWarning, match=f"{older}.*an older release of it"):
        data.load(config(path, "vesselmnist3d"))


def test_unpublished_side(tmp_path):
    with pytest.raises(ValueError, match="28, 64, 128, 224, not 32"):
        load(tmp_path, side=32)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"val_labels": np.array([[0], [9], [1]], np.uint8)}, r"val_labels\[1\] is 9"),
        ({"val_labels": np.array([[0], [1], [-1]], np.int64)}, r"val_labels\[2\] is -1"),
        ({"val_labels": np.zeros((2, 1), np.uint8)}, "for 3 images"),
        (
            {
                "val_images": np.zeros((0, 28, 28), np.uint8),
                "val_labels": np.zeros((0, 1), np.uint8),
            },
            "val_images holds no image",
        ),
        ({"val_labels": np.zeros((3, 1), np.float32)}, "float32"),
        ({"test_images": np.zeros((4, 28, 28), np.float32)}, "test_images is float32"),
        ({"test_images": np.zeros((4, 28, 28, 3), np.uint8)}, r"\(4, 28, 28, 3\)"),
        ({"train_images": None}, "lacks train_images"),
        ({"train_labels": np.array([{}] * 7, dtype=object)}, "pickled objects"),
    ],
)
def test_wrong_contents(tmp_path, changes, words):
    path = write(tmp_path / "breastmnist.npz", **changes)
    with pytest.raises(ValueError, match=words) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint16])
@pytest.mark.parametrize("flat", [True, False])
def test_own_files_with_other_integers_and_a_channel_axis(tmp_path, dtype, flat):
    made = arrays()
    plain = load(write(tmp_path / "breastmnist.npz"))
    for split in ("train", "val", "test"):
        labels = made[f"{split}_labels"].astype(dtype)
        made[f"{split}_labels"] = labels[:, 0] if flat else labels
        made[f"{split}_images"] = made[f"{split}_images"][..., None]
    own = load(write(tmp_path / "mine.npz", **made))
    assert own.info.identity == plain.info.identity
    assert own.test.labels.dtype == np.int32 and own.test.images.shape == (4, 28, 28, 1)


def test_nobody_is_told_to_delete_a_file_of_their_own(tmp_path):
    """Only under the published name, and where no other MD5 is demanded, the published file is meant."""
    wrong = {"val_labels": np.zeros((3, 1), np.float32)}
    for name, fields, remedy in (
        ("mine.npz", {}, "correct the file, which is not the published one"),
        ("breastmnist.npz", {"md5": "1" * 32}, "correct the file, which is not the published one"),
        ("breastmnist.npz", {}, "fetch the published file again, or correct it if it is your own"),
    ):
        with pytest.raises(ValueError, match=remedy) as caught:
            load(write(tmp_path / name, **wrong), **fields)
        assert "delete the file" not in str(caught.value)
    (tmp_path / "mine.npz").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"mine.npz is not an .npz .*empty file.*; correct the file"
    ):
        load(tmp_path / "mine.npz")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated_archive(tmp_path, share):
    path = write(tmp_path / "breastmnist.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="delete the file and fetch it again") as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_tampered_archive(tmp_path):
    path = write(tmp_path / "breastmnist.npz")
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("train_images.npy").header_offset
    whole = bytearray(path.read_bytes())
    whole[start + 2000] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=r"damaged.*delete the file"):
        load(path)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>Not found</html>", "it holds an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it holds a Git LFS pointer"),
        (b"\x1f\x8b\x08rest", "it holds a gzip file"),
        (b"\x80\x04N.", "it holds a Python pickle"),
        (b"PK\x03\x04rest", "is cut short or damaged"),
    ],
)
def test_not_an_archive(tmp_path, body, words):
    path = tmp_path / "breastmnist.npz"
    path.write_bytes(body)
    with pytest.raises(
        ValueError, match=rf"breastmnist\.npz.* {words}.*; delete the file"
    ) as caught:
        load(path)
    assert "pickled objects" not in str(caught.value)


def test_bare_array_is_not_an_archive(tmp_path):
    path = tmp_path / "breastmnist.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="holds one NumPy array"):
        load(path)


def test_an_archive_of_another_size_is_refused_from_its_headers(tmp_path, monkeypatch):
    path = write(tmp_path / "breastmnist.npz", side=64)
    monkeypatch.setattr(medmnist, "read_npz", lambda *_: pytest.fail("it was read"))
    with pytest.raises(ValueError, match=r"train_images is uint8 \(7, 64, 64\), expected .*28, 28"):
        load(path)
