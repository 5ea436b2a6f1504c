"""The user's own images: folders of classes and CSV manifests, right and wrong."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.data.sources.listings import folders

ROOT = Path(__file__).resolve().parents[4]


def save(path, seed=0, shape=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(array).save(path)
    return array


def fill(root, classes=("ill", "well"), count=10, seed=0, **kwargs):
    for k, name in enumerate(classes):
        for i in range(count):
            save(root / name / f"{i}.png", seed=seed + 100 * k + i, **kwargs)
    return root


def load(root, name="folder", **fields):
    config = data.default_config(name)
    config.root = str(root)
    config.update(fields)
    return data.load(config)


def write_csv(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_folder_of_classes(tmp_path):
    splits = load(fill(tmp_path))
    assert splits.info.classes == ("ill", "well")
    assert (splits.info.side, splits.info.channels, splits.info.task) == (8, 1, "binary-class")
    assert [len(splits[s]) for s in ("train", "val", "test")] == [14, 2, 4]
    for split in (splits.train, splits.val, splits.test):
        for image, label, name in zip(split.images, split.labels, split.names, strict=True):
            assert name.split("/")[0] == splits.info.classes[label]
            np.testing.assert_array_equal(image[..., 0], np.asarray(Image.open(tmp_path / name)))


def test_folder_is_a_function_of_seed_and_files(tmp_path):
    first, again = load(fill(tmp_path / "a")), load(fill(tmp_path / "b"))
    assert first.test.names == again.test.names
    assert first.info.md5 == again.info.md5
    assert load(tmp_path / "a", seed=1).test.names != first.test.names
    save(tmp_path / "b" / "ill" / "0.png", seed=999)
    assert load(tmp_path / "b").info.md5 != first.info.md5
    with pytest.raises(ValueError, match="asks for"):
        load(tmp_path / "b", md5=first.info.md5)


def test_folder_with_splits(tmp_path):
    for seed, (split, count) in enumerate((("train", 9), ("validation", 2), ("test", 3))):
        fill(tmp_path / split, count=count, seed=1000 * seed)
    splits = load(tmp_path)
    assert [len(splits[s]) for s in ("train", "val", "test")] == [18, 4, 6]
    assert all(name.startswith("test/") for name in splits.test.names)


def test_val_is_cut_from_train(tmp_path):
    fill(tmp_path / "train", count=16)
    fill(tmp_path / "test", count=3, seed=1000)
    splits = load(tmp_path)
    assert [len(splits[s]) for s in ("train", "val", "test")] == [28, 4, 6]
    assert all(name.startswith("train/") for name in splits.val.names)


def test_colour_resized_and_converted(tmp_path):
    fill(tmp_path, shape=(9, 12, 3))
    splits = load(tmp_path, side=4)
    assert splits.train.images.shape[1:] == (4, 4, 3)
    assert load(tmp_path, side=4, channels=1).train.images.shape[1:] == (4, 4, 1)


def test_missing_things(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        load(tmp_path / "none.csv", "manifest")
    with pytest.raises(FileNotFoundError, match=r"line 2: no file .*gone\.png"):
        load(write_csv(tmp_path / "l.csv", "path,label", "gone.png,1"), "manifest")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"needs a path: --config.data.root"):
        load("")


def test_empty_folder_names_the_layout(tmp_path):
    with pytest.raises(FileNotFoundError, match="one sub-folder per class") as caught:
        load(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_empty_class_folder(tmp_path):
    fill(tmp_path)
    (tmp_path / "rare").mkdir()
    with pytest.raises(ValueError, match="no image in the class folder rare"):
        load(tmp_path)


def test_train_without_test(tmp_path):
    fill(tmp_path / "train")
    with pytest.raises(FileNotFoundError, match="not both train and test"):
        load(tmp_path)


def test_unreadable_image(tmp_path):
    fill(tmp_path)
    (tmp_path / "ill" / "5.png").write_bytes(b"\x89PNG nonsense")
    with pytest.raises(ValueError, match=r"5\.png"):
        load(tmp_path)


def test_image_of_another_size(tmp_path):
    fill(tmp_path)
    save(tmp_path / "well" / "5.png", shape=(9, 9))
    with pytest.raises(ValueError, match=r"5\.png is 9 x 9, expected 8 x 8.*data\.side=64 resizes"):
        load(tmp_path)
    assert load(tmp_path, side=8).info.side == 8


def test_oblong_image(tmp_path):
    with pytest.raises(ValueError, match=r"8 x 10.*square"):
        load(fill(tmp_path, shape=(8, 10)))


def test_image_of_another_channel_count(tmp_path):
    fill(tmp_path)
    save(tmp_path / "well" / "5.png", shape=(8, 8, 3))
    with pytest.raises(ValueError, match=r"5\.png has 3 channel.*data\.channels=1"):
        load(tmp_path)
    assert load(tmp_path, channels=3).info.channels == 3


def test_test_folder_with_a_class_of_its_own(tmp_path):
    fill(tmp_path / "train", count=16)
    fill(tmp_path / "test", classes=("ill", "other"), count=2)
    with pytest.raises(ValueError, match=r"'other'.*outside the classes of train"):
        load(tmp_path)


def test_many_files_with_a_bar(tmp_path):
    splits = load(fill(tmp_path, count=101, shape=(2, 2)))
    assert sum(len(splits[s]) for s in ("train", "val", "test")) == 202


ORDER = """
import sys
from msflow_jax import data
from msflow_jax.data.sources.listings import folders
config = data.default_config("folder")
config.root = sys.argv[1]
splits = data.load(config)
print(splits.info.classes, splits.train.names, splits.train.labels.tolist(), splits.info.identity)
"""


def test_the_order_of_classes_does_not_depend_on_the_process(tmp_path):
    """``1``, ``01`` and ``001`` are equal numbers: which is first was up to the seed of the hashes."""
    fill(tmp_path, classes=("1", "01", "001", "2", "02"), count=6, shape=(2, 2, 3))
    found = [
        subprocess.run(
            [sys.executable, "-c", ORDER, str(tmp_path)], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("1", "4")
    ]  # fmt: skip
    assert found[0] == found[1]
    assert found[0].startswith("('001', '01', '1', '02', '2')")


@pytest.mark.parametrize(
    ("pair", "same"),
    [(("Mild", "mild"), True), (("1", "1.0"), True), (("1", "01"), True), (("a b", "a  b"), True),
     (("grade 1", "grade 2"), False), (("Straße", "STRASSE"), True), (("1", "10"), False)],
)  # fmt: skip
def test_classes_that_may_be_meant_as_one_are_named(tmp_path, pair, same):
    lines = [f"{i}.png,{pair[i % 2]}" for i in range(20)]
    for i in range(20):
        save(tmp_path / f"{i}.png", seed=i)
    path = write_csv(tmp_path / "list.csv", "path,label", *lines)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = load(path, "manifest").info.classes
    assert len(found) == 2
    words = [str(w.message) for w in said if "are taken as two classes" in str(w.message)]
    assert bool(words) == same and all(repr(name) in words[0] for name in found if words)


def test_one_picture_in_files_of_other_bytes_is_found_in_two_splits(tmp_path):
    for split, suffix in (("train", "png"), ("test", "bmp")):
        for i in range(20):
            save(tmp_path / split / str(i % 2) / f"{i}.png", seed=i + 100 * (split == "test"))
        save(tmp_path / split / "0" / f"same.{suffix}", seed=7000)
    with pytest.raises(ValueError, match=r"train/0/same.png = test/0/same.bmp"):
        load(tmp_path)


def test_one_label_in_two_unicode_forms_is_one_class(tmp_path):
    for i in range(30):
        save(tmp_path / f"{i}.png", seed=i)
    names = ("gr\u00fcn", "gru\u0308n ", "rot")
    lines = [f"{i}.png,{names[i % 3]}" for i in range(30)]
    assert load(write_csv(tmp_path / "list.csv", "path,label", *lines), "manifest").info.classes == (
        "gr\u00fcn", "rot",
    )  # fmt: skip


def test_two_folders_of_one_split(tmp_path):
    for name in ("train", "Training", "test"):
        fill(tmp_path / name)
    with pytest.raises(ValueError, match="Training and train are both the split train"):
        load(tmp_path)


def test_folders_beside_the_splits_are_named(tmp_path):
    fill(tmp_path / "train", count=16)
    fill(tmp_path / "test", count=3, seed=1000)
    fill(tmp_path / "extra", count=3)
    with pytest.warns(UserWarning, match="left out beside test, train: folders extra"):
        load(tmp_path)


def test_folders_that_are_no_classes(tmp_path):
    for i in range(12):
        save(tmp_path / f"subject{i}" / "a.png", seed=i)
    with pytest.raises(ValueError, match=f"{tmp_path}: .*too few.*12 class folders for 12 images"):
        load(tmp_path)


def test_rows_of_which_some_have_a_split_are_refused():
    """Whatever source they come of."""
    rows = [
        folders.Row(Path(f"{i}.png"), f"{i}.png", "a", "", split)
        for i, split in enumerate(["train", "test", "", "val", ""])
    ]
    with pytest.raises(ValueError, match=r"x: 2\.png has no split, as 2 of 5 have none"):
        folders.cut_rows(rows, [0] * 5, 0, Path("x"))
