"""Data sets of TensorFlow Datasets, written by the tests, read without TensorFlow."""

import json
import pickle
import shutil
import sys

import numpy as np
import pytest

from msflow_jax import data

tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("array_record")
from tests.data.sources.tfds import tiny_tfds  # noqa: E402


def load(root, name, **fields):
    config = data.default_config(f"tfds:{name}")
    config.update({"root": str(root), **fields})
    return data.load(config)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    for builder in (tiny_tfds.TinyTensor, tiny_tfds.TinyPicture, tiny_tfds.TinyUnlabelled):
        builder(data_dir=folder, file_format="array_record").download_and_prepare()
    assert "tensorflow" not in sys.modules
    return folder


@pytest.mark.parametrize("loader", ["device", "grain"])
def test_arrays_in_one_split(root, loader):
    splits = load(root, "tiny_tensor", loader=loader)
    assert splits.info.classes == ("benign", "malignant") and sum(splits.info.counts) == 14
    assert (splits.info.side, splits.info.channels) == (6, 3)
    assert [len(splits[s]) for s in ("train", "val", "test")] == [14, 2, 4]
    assert isinstance(splits.train, data.LazySplit) == (loader == "grain")
    # In the order of the data set, which is not that of writing.
    rows, seen = list(tfds.data_source("tiny_tensor", data_dir=root, split="train")), []
    for split in ("train", "val", "test"):
        part = data.in_memory(splits[split])
        seen += part.names
        for name, image, label in zip(part.names, part.images, part.labels, strict=True):
            row = rows[int(name.split("/")[1])]
            assert label == row["label"]
            np.testing.assert_array_equal(image, row["image"])
    assert len(set(seen)) == 20


def test_images_that_are_nearly_black_are_named(tmp_path):
    builder = tiny_tfds.TinyDark(data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare()
    with pytest.warns(UserWarning, match="2 of 2 validation images use less than 1/16.*train/000"):
        load(tmp_path, "tiny_dark")


def test_pictures_in_their_own_splits(root):
    splits = load(root, "tiny_picture")
    assert [len(splits[s]) for s in ("train", "val", "test")] == [12, 4, 6]
    for split, theirs in (("train", "train"), ("val", "validation"), ("test", "test")):
        expected = {tiny_tfds.image(theirs, i).tobytes(): i % 2 for i in range(len(splits[split]))}
        part = data.in_memory(splits[split])
        got = {i.tobytes(): k for i, k in zip(part.images, part.labels, strict=True)}
        assert got == expected
    small = load(root, "tiny_picture", side=4, channels=1)
    assert small.val.images.shape == (4, 4, 4, 1)


def test_a_worker_gets_a_reader_without_open_files(root):
    train = load(root, "tiny_tensor", loader="grain").train
    first = train.read(0)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(train)).read(0), first)


def test_what_cannot_be_used(root, tmp_path):
    with pytest.raises(
        ValueError, match="tfds:tiny_unlabelled has no image and label, but picture"
    ):
        load(root, "tiny_unlabelled")
    with pytest.raises(ValueError, match="tfds:no_such_set cannot be opened in"):
        load(root, "no_such_set")
    with pytest.raises(FileNotFoundError, match="is not prepared in .*data.download=True"):
        load(tmp_path, "tiny_tensor")
    splits = load(tmp_path, "tiny_tensor", download=True)
    assert len(splits.train) == 14


EVIL = "os_of_the_attacker.Feature"


def planted(root, tmp_path, change):
    """A copy of a data set, whose code is not imported, with other words in its features.json."""
    shutil.copytree(root / "tiny_picture", tmp_path / "tiny_copy")
    (path,) = (tmp_path / "tiny_copy").glob("*/features.json")
    path.write_text(change(path.read_text()))
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.replace("tensorflow_datasets.core.features.image_feature.Image", EVIL), EVIL),
        (lambda t: t.replace('"pythonClassName"', '"python_class_name"').replace(
            "tensorflow_datasets.core.features.image_feature.Image", EVIL), EVIL),
        (lambda t: json.dumps({"type": EVIL, "content": {}}), EVIL),
        (lambda t: json.dumps({"type": "tensorflow_datasets.x.Y", "proto_cls": "z",
                               "content": json.dumps({"pythonClassName": EVIL})}), EVIL),
        (lambda t: "<html>", "HTML page"),
        (lambda t: "[" * 100_000, "cannot be read"),
    ],
)  # fmt: skip
def test_no_code_is_imported_but_that_of_tfds(root, tmp_path, change, words):
    path = planted(root, tmp_path, change)
    with pytest.raises(ValueError, match=words) as caught:
        load(tmp_path, "tiny_copy")
    assert str(path) in str(caught.value)
    assert "os_of_the_attacker" not in sys.modules


def test_a_linked_version_is_looked_into_as_well(root, tmp_path):
    path = planted(root, tmp_path, lambda text: text.replace("tensorflow_datasets.core", "evil"))
    (path.parent.parent / "real").mkdir()
    path.parent.rename(path.parent.parent / "real" / path.parent.name)
    path.parent.symlink_to(path.parent.parent / "real" / path.parent.name)
    with pytest.raises(ValueError, match="asks for the code 'evil"):
        load(tmp_path, "tiny_copy")


@pytest.mark.parametrize(
    "name", ["TinyPicture", "huggingface:x", "../x", "kaggle:a/b", "a,x=1", ""]
)
def test_names_that_tfds_would_look_up_elsewhere(tmp_path, name):
    with pytest.raises(ValueError, match="expected tfds:NAME"):
        load(tmp_path, name)
