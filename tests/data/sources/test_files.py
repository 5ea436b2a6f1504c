"""The user's own images: folders of classes and CSV manifests, right and wrong."""

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data


def save(path, seed=0, shape=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(array).save(path)
    return array


def fill(root, classes=("ill", "well"), count=10, **kwargs):
    for k, name in enumerate(classes):
        for i in range(count):
            save(root / name / f"{i}.png", seed=100 * k + i, **kwargs)
    return root


def load(root, name="folder", **fields):
    config = data.default_config(name)
    config.root = str(root)
    config.update(fields)
    return data.load(config)


def write_csv(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def manifest(tmp_path, patients=20, split=None):
    """Two images for each patient, grades 1, 2 and 10 by turns."""
    lines = ["path,label,patient" + (",split" if split else "")]
    for p in range(patients):
        for i in range(2):
            save(tmp_path / f"p{p}_{i}.png", seed=2 * p + i)
            lines.append(f"p{p}_{i}.png,{(1, 2, 10)[p % 3]},P{p}" + (split(p, i) if split else ""))
    return write_csv(tmp_path / "list.csv", *lines)


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
    for split, count in (("train", 9), ("validation", 2), ("test", 3)):
        fill(tmp_path / split, count=count)
    splits = load(tmp_path)
    assert [len(splits[s]) for s in ("train", "val", "test")] == [18, 4, 6]
    assert all(name.startswith("test/") for name in splits.test.names)


def test_val_is_cut_from_train(tmp_path):
    fill(tmp_path / "train", count=16)
    fill(tmp_path / "test", count=3)
    splits = load(tmp_path)
    assert [len(splits[s]) for s in ("train", "val", "test")] == [28, 4, 6]
    assert all(name.startswith("train/") for name in splits.val.names)


def test_colour_resized_and_converted(tmp_path):
    fill(tmp_path, shape=(9, 12, 3))
    splits = load(tmp_path, side=4)
    assert splits.train.images.shape[1:] == (4, 4, 3)
    assert load(tmp_path, side=4, channels=1).train.images.shape[1:] == (4, 4, 1)


def test_manifest_keeps_patients_together(tmp_path):
    splits = load(manifest(tmp_path), "manifest")
    assert splits.info.classes == ("1", "2", "10")
    assert splits.info.task == "multi-class"
    patients = [{n.split("_")[0] for n in splits[s].names} for s in ("train", "val", "test")]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 20
    for split in (splits.train, splits.val, splits.test):
        for name, label in zip(split.names, split.labels, strict=True):
            assert label == int(name[1:].split("_")[0]) % 3
        assert split.groups == tuple(name.split("_")[0].upper() for name in split.names)


def test_manifest_with_splits(tmp_path):
    path = manifest(tmp_path, split=lambda p, i: ",train" if p < 12 else ",TEST")
    splits = load(path, "manifest")
    assert len(splits.test) == 16
    assert 0 < len(splits.val) < len(splits.train)
    assert not {n[:-6] for n in splits.val.names} & {n[:-6] for n in splits.train.names}


def test_further_columns_are_facts_on_the_images(tmp_path):
    """``evaluate --by=site`` splits the scores by them."""
    assert load(manifest(tmp_path), "manifest").test.truth is None
    text = (tmp_path / "list.csv").read_text().splitlines()
    rows = [f"{line},{'north' if i % 3 else ''},{i}" for i, line in enumerate(text[1:])]
    splits = load(write_csv(tmp_path / "list.csv", f"{text[0]},site,age", *rows), "manifest")
    expected = {line.split(",")[0]: line.split(",")[-2:] for line in rows}
    for split in (splits.train, splits.val, splits.test):
        assert list(split.truth) == ["age", "site"]
        for name, site, age in zip(
            split.names, split.truth["site"], split.truth["age"], strict=True
        ):
            assert expected[name] == [site, age]


def test_patient_in_two_splits(tmp_path):
    path = manifest(tmp_path, split=lambda p, i: ",test" if p == 7 and i else ",train")
    with pytest.raises(ValueError, match="patient P7 is in both train and test"):
        load(path, "manifest")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["file,label", "a.png,1"], "header must have path,label"),
        (["path,label"], "lists no images"),
        (["path,label", "a.png,"], "line 2: no label"),
        (["path,label,split", "a.png,1,dev"], "line 2: split 'dev'"),
        (["path,label,patient", "a.png,1,"], "line 2: no patient"),
        (["path,label", "a.png,1", "a.png,2"], "a.png more than once"),
        (["path,label", "a.png,1", "b.png,1"], "one class only"),
        (["path,label,split", "a.png,1,train", "b.png,2,test"], "outside the classes of train"),
    ],
)
def test_bad_manifests(tmp_path, lines, words):
    for i, name in enumerate(("a.png", "b.png")):
        save(tmp_path / name, seed=i)
    if "split" in lines[0] and "test" in lines[-1]:
        for i in range(8):
            save(tmp_path / f"c{i}.png", seed=9 + i)
            lines = [*lines, f"c{i}.png,1,{'val' if i else 'train'}"]
    with pytest.raises(ValueError, match=words):
        load(write_csv(tmp_path / "list.csv", *lines), "manifest")


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
