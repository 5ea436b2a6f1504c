"""MedMNIST: the table, where files are looked for, and what is read of them."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.sources.medmnist import loading as medmnist
from msflow_jax.data.sources.medmnist.table import SIDES, TABLE, file_name, url
from tests.data.sources.medmnist.medmnist_files import SIZES, config, load, write

pytestmark = pytest.mark.usefixtures("home")


SHARED = Path(__file__).resolve().parents[4].parent / "shared" / "data"
BREAST = SHARED / "breastmnist.npz"
ADRENAL = SHARED / "adrenalmnist3d_64.npz"

needs_breast = pytest.mark.skipif(not BREAST.is_file(), reason="no breastmnist.npz in shared/data")


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
    (tmp_path / "given").mkdir()
    write(tmp_path / place, side=side or 28)
    splits = load(tmp_path / root if root else "", side=side)
    assert splits.info.source == str(tmp_path / place)
    assert splits.info.side == (side or 28)


def test_another_file_than_that_of_the_root_is_said(tmp_path, home):
    default = write(home / ".medmnist" / "breastmnist.npz")
    (tmp_path / "given").mkdir()
    words = rf"no file of the set at {tmp_path / 'given'}; read is {default}: correct the root"
    with pytest.warns(UserWarning, match=words):
        data.load(config(tmp_path / "given"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.load(config(""))
    assert not any("read is" in str(one.message) for one in caught)


@pytest.mark.parametrize("root", ["given/breastmnist_corected.npz", "nowhere"])
def test_a_root_that_is_not_there_is_refused(tmp_path, home, root):
    """The file of the home folder was read instead, without a word."""
    default = write(home / ".medmnist" / "breastmnist.npz")
    write(tmp_path / "given" / "breastmnist_corrected.npz")
    words = rf"nothing at {tmp_path / root} .*correct it, or leave it empty to read {default}"
    with pytest.raises(FileNotFoundError, match=words):
        load(tmp_path / root)
    with pytest.warns(UserWarning, match=f"read is {default}"):
        data.load(config(tmp_path / root, download=True))


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


@pytest.mark.parametrize("flag", [f for f in TABLE if f != "chestmnist"])
def test_every_single_label_set_loads(tmp_path, flag):
    entry = TABLE[flag]
    write(tmp_path / file_name(flag, 28), channels=entry.channels, dims=entry.dims)
    splits = load(tmp_path, flag)
    assert splits.info.classes == entry.classes and splits.info.dims == entry.dims
    assert splits.train.images.shape[1:] == splits.info.shape
    assert data.Info.from_dict(splits.info.to_dict()) == splits.info


def lines(path, name="breastmnist", **fields):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        splits = data.load(config(path, name, **fields))
    return splits.info, [str(w.message) for w in caught]


def test_what_an_own_file_borrows_of_a_set_is_said(tmp_path):
    """Its classes, and that it is mirrored, came from the name alone, without a word."""
    path = write(tmp_path / "mine.npz")
    info, said = lines(path)
    taken = f"{path}: its labels are taken as 0 = malignant, 1 = normal, benign, and its images mirrored"
    (line,) = [line for line in said if line.startswith(taken)]
    assert "in training (horizontal)" in line and "map_classes=NAME,NAME" in line
    assert not any("labels are taken" in one for one in lines(path, md5=info.md5)[1])  # accepted
    line = next(one for one in lines(path, "pneumoniamnist")[1] if "labels are taken" in one)
    assert "mirrored" not in line and "1 = pneumonia, as in the set" in line
    columns = {f"{s}_labels": np.zeros((n, 14), np.uint8) for s, n in SIZES.items()}
    findings = write(tmp_path / "findings.npz", **columns)
    line = next(one for one in lines(findings, "chestmnist:mass")[1] if "labels are taken" in one)
    assert "0 = no mass, 1 = mass" in line and "correct them" in line and "map_classes" not in line


def test_classes_of_an_own_file_can_be_named(tmp_path, monkeypatch):
    path = write(tmp_path / "mine.npz")
    info, said = lines(path, map_classes=("cat", "dog"))
    assert info.classes == ("cat", "dog") and info.flips == () and info.map_classes == ()
    assert not any("labels are taken" in line for line in said)
    for names, words in (
        (("cat",), "data.map_classes=cat: give a name of its own to each class"),
        (("cat", "cat"), "to each class, at least to two"),
        (("cat", "dog", "cow"), r"no image of train_labels has the label 2 \(cow"),
    ):
        with pytest.raises(ValueError, match=words):
            load(path, map_classes=names)
    monkeypatch.setattr(medmnist, "file_md5", lambda _: TABLE["breastmnist"].md5[0])
    with pytest.raises(ValueError, match="is the published file, and its classes are malignant"):
        load(path, map_classes=("cat", "dog"))
    with pytest.raises(ValueError, match="'chestmnist:mass' takes none"):
        data.check(config(path, "chestmnist:mass", map_classes=("cat", "dog")))


@pytest.mark.parametrize(("flag", "dims"), [("breastmnist", 2), ("nodulemnist3d", 3)])
def test_nearly_black_images_of_an_own_file_are_named(tmp_path, flag, dims):
    """12 bits shifted by 8, or floats of [0, 1] cast to uint8, were trained on without a word."""
    dark = np.random.default_rng(1).integers(0, 16, (SIZES["train"], *(28,) * dims), np.uint8)
    dark[3] = 0
    _, said = lines(write(tmp_path / "mine.npz", dims=dims, train_images=dark), flag)
    (line,) = [line for line in said if "nearly black" in line]
    assert "6 of 7 training images" in line and "train/00000" in line
    (line,) = [line for line in said if "hardly any value" in line]
    assert "1 of 7 training images" in line and "train/00003" in line
