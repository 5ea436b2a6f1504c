"""Data sets of TensorFlow Datasets, written by the tests, read without TensorFlow."""

import pickle
import sys

import numpy as np
import pytest

from msflow_jax import data

tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("array_record")
from tests.data.sources import tiny_tfds  # noqa: E402


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
