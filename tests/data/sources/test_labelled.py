"""Labelled images from elsewhere: labels by the names of the run's classes."""

import warnings

import numpy as np
import pytest
from PIL import Image

from msflow_jax.data import Info, read_labelled

# Not in the order of the names, as those of a published set may be.
INFO = Info("x", ("well", "ill", "very ill"), 1, 8, "multi-class", "", "", "", ())


def save(path, value=0, side=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side), value, np.uint8)).save(path)


def test_a_folder(tmp_path):
    save(tmp_path / "ill" / "deep" / "a.png", 1)
    save(tmp_path / "well" / "a.png", 2)
    found = read_labelled(tmp_path, INFO)
    assert found.names == ("ill/deep/a.png", "well/a.png") and found.labels.tolist() == [1, 0]
    assert found.images[:, 0, 0, 0].tolist() == [1, 2]
    save(tmp_path / "healthy" / "a.png")
    with pytest.raises(
        ValueError, match="'healthy', which is no class of the run: 0 = well, 1 = ill"
    ):
        read_labelled(tmp_path, INFO)
    save(tmp_path / "other" / "a.png")
    with pytest.raises(ValueError, match=r"a.png has the label ''"):
        read_labelled(tmp_path / "other", INFO)


def test_a_table(tmp_path):
    tmp_path = tmp_path / "deep"
    tmp_path.mkdir()
    for name in "abc":
        save(tmp_path / f"{name}.png", ord(name))
    table = tmp_path / "t.csv"
    table.write_text(
        "path,label,patient,site\nc.png,ill,1,north\na.png, well ,2,south\nb.png,ill,1,south\n"
    )
    for name in ("x.png", "y.png", "../a.png"):
        (tmp_path / name).write_text("no picture")
    found = read_labelled(table, INFO)
    assert found.labels.tolist() == [1, 0, 1] and found.groups == ("1", "2", "1")
    assert found.images[:, 0, 0, 0].tolist() == [ord(c) for c in "cab"]
    assert found.truth["site"].tolist() == ["north", "south", "south"]
    for text, words in {
        "path,label\na.png,1\n": "a.png has the label '1'",
        "path,label\na.png,ill\na.png,ill\n": "more than once",
        "path,label\nd.png,ill\n": "no file",
        "path,class\na.png,ill\n": "the header must have",
        "path,label\n": "lists nothing below",
        "path,label\na.png,ill\n./a.png,ill\n": "line 3: .* more than once .first as a.png",
        "path,label\na.png,ill,1\n": "line 2: 3 cells, but the header has 2",
        "path,label,site\na.png,ill\n": "line 2: 2 cells, but the header has 3",
        "path;label\na.png;ill\n": "parted by semicolons",
        "path,label\n../a.png,ill\n": "lies outside the folder of the manifest",
        "path,label\nx.png,ill\ny.png,ill\n": "2 pictures cannot be used: .*x.png.*y.png",
    }.items():
        table.write_text(text)
        with pytest.raises((ValueError, FileNotFoundError), match=words):
            read_labelled(table, INFO)


def test_all_broken_pictures_of_a_table_are_named_at_once(tmp_path):
    save(tmp_path / "a.png")
    for name in ("b.png", "c.png"):
        (tmp_path / name).write_text("no picture")
    table = tmp_path / "t.csv"
    table.write_text("path,label,split\na.png,ill,x\nb.png,ill,\nc.png,ill,\n")
    with pytest.raises(ValueError, match=r"2 pictures cannot be used.*b\.png.*c\.png"):
        read_labelled(table, INFO)


@pytest.mark.parametrize("key", ["", "test_"])
def test_an_archive(tmp_path, key):
    path = tmp_path / "x.npz"
    given = f"{path}:test" if key else str(path)
    images = np.arange(3, dtype=np.uint8).repeat(64).reshape(3, 8, 8)

    def read(labels):
        np.savez(path, **{f"{key}images": images, f"{key}labels": labels})
        return read_labelled(given, INFO).labels.tolist()

    assert read(np.array([2, 0, 1])) == [2, 0, 1]
    assert read(np.array([[2], [0], [1]], np.uint8)) == [2, 0, 1]
    assert read(np.array(["ill", "well", "very ill"])) == [1, 0, 2]
    for labels, words in (
        (np.array([0, 1, 3]), "0 = well, 1 = ill"), (np.array([0, 1]), "one label for each of 3"),
        (np.array([0.0, 1, 2]), "numbers of the classes"), (np.array(["a", "b", "c"]), "'a'"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            read(labels)


def test_other_sizes_are_refused_unless_requested(tmp_path):
    save(tmp_path / "ill" / "a.png", side=12)
    with pytest.raises(ValueError, match="12 x 12.*--resize"):
        read_labelled(tmp_path, INFO)
    assert read_labelled(tmp_path, INFO, resize=True).images.shape == (1, 8, 8, 1)
    with pytest.raises(FileNotFoundError, match="no folder"):
        read_labelled(tmp_path / "gone", INFO)


def test_a_table_of_training_data_is_named(tmp_path):
    """Its column of splits is not looked at."""
    for name in "abcd":
        save(tmp_path / f"{name}.png", ord(name))
    table = tmp_path / "t.csv"
    table.write_text(
        "path,label,split\na.png,ill,train\nb.png,well,train\nc.png,ill,test\nd.png,ill,\n"
    )
    with pytest.warns(
        UserWarning, match=r"2 train, 1 test, 1 without one\): what a model was trained"
    ):
        assert len(read_labelled(table, INFO)) == 4
    table.write_text("path,label,split\na.png,ill,test\nb.png,well,test\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_labelled(table, INFO)


def test_folders_of_splits_within_classes_are_named(tmp_path):
    for name in ("ill/test/a", "well/Test/b", "well/c"):
        save(tmp_path / f"{name}.png", 100 + len(name))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_labelled(tmp_path, INFO)
    save(tmp_path / "ill" / "train" / "d.png", 99)
    with pytest.warns(UserWarning, match=r"\(2 test, 1 train\): what a model was trained on"):
        assert len(read_labelled(tmp_path, INFO)) == 4
