"""MedMNIST: the table, where files are looked for, and everything that can be wrong with one."""

import contextlib
import io
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.sources import medmnist
from msflow_jax.data.sources.medmnist_table import SIDES, TABLE, file_name, url

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"
BREAST = SHARED / "breastmnist.npz"
ADRENAL = SHARED / "adrenalmnist3d_64.npz"
SIZES = {"train": 7, "val": 3, "test": 4}

needs_breast = pytest.mark.skipif(not BREAST.is_file(), reason="no breastmnist.npz in shared/data")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home folder, so that no ~/.medmnist of the machine is found."""
    folder = tmp_path / "home"
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    return folder


def arrays(side=28, channels=1, dims=2, **changes):
    rng = np.random.default_rng(0)
    shape = (side,) * dims if channels == 1 else (side, side, channels)
    made = {}
    for split, count in SIZES.items():
        made[f"{split}_images"] = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
        made[f"{split}_labels"] = rng.integers(0, 2, (count, 1), dtype=np.uint8)
    made.update(changes)
    return {k: v for k, v in made.items() if v is not None}


def write(path, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays(**kwargs))
    return path


def config(root, name="breastmnist", **fields):
    made = data.default_config(name)
    made.root = str(root)
    made.update(fields)
    return made


def load(root, name="breastmnist", **fields):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return data.load(config(root, name, **fields))


def test_table_equals_the_authors_package():
    with contextlib.redirect_stdout(io.StringIO()):
        package = pytest.importorskip("medmnist")
    assert set(package.INFO) == set(TABLE)
    for flag, theirs in package.INFO.items():
        ours = TABLE[flag]
        assert (ours.dims == 3) == flag.endswith("3d")
        assert ours.classes == tuple(theirs["label"][str(i)] for i in range(len(theirs["label"])))
        assert (ours.channels, ours.task, ours.licence) == (
            theirs["n_channels"],
            theirs["task"],
            theirs["license"],
        )
        assert ours.sizes == tuple(theirs["n_samples"][s] for s in ("train", "val", "test"))
        for side, md5 in zip(SIDES[ours.dims], ours.md5, strict=True):
            suffix = "" if side == 28 else f"_{side}"
            assert md5 == theirs[f"MD5{suffix}"]
            assert url(flag, side) == theirs[f"url{suffix}"]


@needs_breast
def test_published_file_loads_with_a_word_on_its_copies_alone():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        splits = data.load(config(SHARED))
    copies = "1 (train/00115 = test/00076)"  # one ultrasound, once malignant and once not
    assert [str(w.message).partition("npz: ")[2] for w in said] == [
        f"equal pictures under two labels: {copies}", f"equal pictures in two splits: {copies}",
    ]  # fmt: skip
    assert tuple(len(splits[s]) for s in ("train", "val", "test")) == TABLE["breastmnist"].sizes
    assert splits.train.images.shape == (546, 28, 28, 1)
    assert splits.info.md5 == TABLE["breastmnist"].md5[0]
    assert splits.info.classes == ("malignant", "normal, benign")
    assert splits.test.names[-1] == "test/00155"
    stored = np.load(BREAST)
    np.testing.assert_array_equal(splits.val.images[..., 0], stored["val_images"])
    np.testing.assert_array_equal(splits.val.labels, stored["val_labels"][:, 0])


@pytest.mark.skipif(not (SHARED / "retinamnist.npz").is_file(), reason="no retinamnist.npz")
def test_colour_grades():
    splits = data.load(config(SHARED, "retinamnist"))
    assert splits.train.images.shape == (1080, 28, 28, 3)
    assert splits.info.task == "ordinal-regression"
    assert splits.info.flips == ("horizontal", "vertical")


@pytest.mark.skipif(
    not (SHARED / "pneumoniamnist_reassembled.npz").is_file(), reason="no pneumoniamnist file"
)
def test_other_md5_is_taken_with_a_warning():
    with pytest.warns(UserWarning, match=r"2905d1da\w+.* 28209eda62fecd6e6a2d98b1501bb15f"):
        splits = data.load(config(SHARED, "pneumoniamnist"))
    assert len(splits.test) == 624
    assert splits.info.flips == ()


def test_demanded_md5(tmp_path):
    path = write(tmp_path / "breastmnist.npz")
    md5 = load(path).info.md5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.load(config(path, md5=md5))
    with pytest.raises(ValueError, match=f"{md5}.*{'0' * 32}"):
        load(path, md5="0" * 32)


@pytest.mark.parametrize(
    ("place", "root", "side"),
    [
        ("given/breastmnist.npz", "given", 0),
        ("given/breastmnist.npz", "given/breastmnist.npz", 28),
        ("given/breastmnist_64.npz", "given", 64),
        ("given/breastmnist_mine.npz", "given", 0),
        ("home/.medmnist/breastmnist.npz", "", 0),
        ("home/.medmnist/breastmnist_128.npz", "given", 128),
    ],
)
def test_places(tmp_path, place, root, side):
    write(tmp_path / place, side=side or 28)
    splits = load(tmp_path / root if root else "", side=side)
    assert splits.info.source == str(tmp_path / place)
    assert splits.info.side == (side or 28)


def test_side_28_does_not_take_a_published_larger_file(tmp_path):
    write(tmp_path / "breastmnist_64.npz", side=64)
    with pytest.raises(FileNotFoundError, match="found: none"):
        load(tmp_path)


def test_two_candidates_are_named(tmp_path):
    for name in ("breastmnist_a.npz", "breastmnist_b.npz"):
        write(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"breastmnist_a\.npz, breastmnist_b\.npz"):
        load(tmp_path)


def test_missing_file_names_every_place(tmp_path, home):
    with pytest.raises(FileNotFoundError) as caught:
        load(tmp_path / "nowhere", side=64)
    for part in (
        str(tmp_path / "nowhere" / "breastmnist_64.npz"),
        str(home / ".medmnist" / "breastmnist_64.npz"),
        "--config.data.download=True",
        url("breastmnist", 64),
    ):
        assert part in str(caught.value)


def test_download_goes_where_the_root_says(tmp_path, home, monkeypatch):
    asked = []

    def fetch(address, target, md5):
        asked.append((address, target, md5))
        return write(target)

    monkeypatch.setattr(medmnist, "download", fetch)
    entry = TABLE["breastmnist"]
    load(tmp_path / "new", download=True)
    load("", download=True)
    assert asked == [
        (url("breastmnist", 28), tmp_path / "new" / "breastmnist.npz", entry.md5[0]),
        (url("breastmnist", 28), home / ".medmnist" / "breastmnist.npz", entry.md5[0]),
    ]


def test_channels_are_converted_on_request(tmp_path):
    path = write(tmp_path / "breastmnist.npz")
    splits = load(path, channels=3)
    assert splits.info.channels == 3
    np.testing.assert_array_equal(splits.test.images[..., 0], splits.test.images[..., 2])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("chestmnist", r"is multi-label: its 14 findings.*name=chestmnist:atelectasis.*hernia$"),
        ("chestmnist:fracture", "has no finding 'fracture'"),
        ("breastmnist:malignant", "one class for each image: name it without :malignant"),
    ],
)
def test_what_is_no_single_question_is_refused_by_name(name, words):
    with pytest.raises(ValueError, match=words):
        data.check(data.default_config(name))


def test_one_finding_of_a_multi_label_set(tmp_path):
    labels = {f"{s}_labels": np.eye(14, dtype=np.uint8)[:n] for s, n in SIZES.items()}
    path = write(tmp_path / "chestmnist.npz", **labels)
    splits = load(path, "chestmnist:effusion")
    assert splits.info.name == "chestmnist:effusion" and splits.info.task == "binary-class"
    assert splits.info.classes == ("no effusion", "effusion")
    assert splits.test.labels.tolist() == [0, 0, 1, 0]
    write(path)  # one column of labels, as of a set of another kind
    with pytest.raises(ValueError, match=r"train_labels is uint8 \(7, 1\), .* each of the 14"):
        load(path, "chestmnist:atelectasis")


def test_volumes_have_axes_no_spacing_and_their_own_dims(tmp_path):
    write(tmp_path / "organmnist3d.npz", dims=3)
    info = load(tmp_path, "organmnist3d").info
    assert info.space == (28, 28, 28) and info.spacing == () and info.flips == ()
    asked = config(tmp_path, "organmnist3d", dims=2)
    with pytest.raises(ValueError, match="organmnist3d holds volumes: set data.dims=3, not 2"):
        data.load(asked)
    with pytest.raises(ValueError, match="breastmnist holds pictures: set data.dims=2, not 3"):
        data.load(config(tmp_path, dims=3))
    with pytest.raises(ValueError, match="28, 64, not 30.*or one that divides these"):
        data.load(config(tmp_path, "organmnist3d", side=30))


def test_volumes_are_averaged_with_a_word(tmp_path):
    path = write(tmp_path / "nodulemnist3d_64.npz", dims=3, side=64)
    stored = np.load(path)["val_images"]
    with pytest.warns(UserWarning, match="64 voxels a side averaged to 32: not the authors' file"):
        splits = data.load(config(tmp_path, "nodulemnist3d", side=32))
    assert splits.info.shape == splits.val.images.shape[1:] == (32, 32, 32, 1)
    assert splits.info.source == f"{path}, 64 voxels a side averaged to 32"
    mean = stored[0, 2:4, 4:6, 6:8].mean()
    assert splits.val.images[0, 1, 2, 3, 0] == np.rint(mean)


def test_an_older_release_is_called_that(tmp_path, monkeypatch):
    path = write(tmp_path / "vesselmnist3d.npz", dims=3)
    older = TABLE["vesselmnist3d"].older[0]
    monkeypatch.setattr(medmnist, "file_md5", lambda _: older)
    with pytest.warns(UserWarning, match=f"{older}.*an older release of it"):
        data.load(config(path, "vesselmnist3d"))


@pytest.mark.skipif(not ADRENAL.is_file(), reason="no adrenalmnist3d_64.npz in shared/data")
def test_a_published_file_of_volumes():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = data.load(config(SHARED, "adrenalmnist3d", side=64))
    entry = TABLE["adrenalmnist3d"]
    assert splits.info.md5 == entry.md5[1] and splits.info.counts == (929, 259)
    assert tuple(len(splits[s]) for s in ("train", "val", "test")) == entry.sizes
    assert splits.train.images.shape == (1188, 64, 64, 64, 1)
    assert set(np.unique(splits.val.images)) == {0, 255}


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


@pytest.mark.parametrize("flag", [f for f in TABLE if f != "chestmnist"])
def test_every_single_label_set_loads(tmp_path, flag):
    entry = TABLE[flag]
    write(tmp_path / file_name(flag, 28), channels=entry.channels, dims=entry.dims)
    splits = load(tmp_path, flag)
    assert splits.info.classes == entry.classes and splits.info.dims == entry.dims
    assert splits.train.images.shape[1:] == splits.info.shape
    assert data.Info.from_dict(splits.info.to_dict()) == splits.info


def test_an_archive_of_another_size_is_refused_from_its_headers(tmp_path, monkeypatch):
    path = write(tmp_path / "breastmnist.npz", side=64)
    monkeypatch.setattr(medmnist, "read_npz", lambda *_: pytest.fail("it was read"))
    with pytest.raises(ValueError, match=r"train_images is uint8 \(7, 64, 64\), expected .*28, 28"):
        load(path)
