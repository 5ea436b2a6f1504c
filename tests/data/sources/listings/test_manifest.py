"""The user's own images as a CSV lists them, right and wrong."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from msflow_jax.data.sources.listings.folders import list_folder
from msflow_jax.data.sources.listings.manifest import list_manifest
from tests.data.sources.dicom.dicom_objects import make_object
from tests.data.sources.listings.test_files import fill, load, save, write_csv


def test_a_file_named_in_another_normal_form_is_found(tmp_path):
    """A spreadsheet composes the letters that an older file system takes apart."""
    apart, composed = "be\u0301", "b\u00e9"
    for i in range(20):
        save(tmp_path / f"{apart}{i}.png", seed=i)
    rows = [f"{composed}{i}.png,{'ab'[i % 2]}" for i in range(20)]
    splits = load(write_csv(tmp_path / "t.csv", "path,label", *rows), "manifest")
    assert sum(len(splits[name]) for name in ("train", "val", "test")) == 20
    assert splits.train.names[0].startswith(composed)


def manifest(tmp_path, patients=20, split=None):
    """Two images for each patient, grades 1, 2 and 10 by turns."""
    lines = ["path,label,patient" + (",split" if split else "")]
    for p in range(patients):
        for i in range(2):
            save(tmp_path / f"p{p}_{i}.png", seed=2 * p + i)
            lines.append(f"p{p}_{i}.png,{(1, 2, 10)[p % 3]},P{p}" + (split(p, i) if split else ""))
    return write_csv(tmp_path / "list.csv", *lines)


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
        (["path,label"], "lists nothing below"),
        (["path,label", "a.png,"], "line 2: no label; fill the cells, or remove the rows"),
        (["path,label", *["a.png,"] * 23], "line 2, 3, 4 and 20 more: no label"),
        (["path,label,split", *["a.png,1,dev"] * 5], "line 2, 3, 4 and 2 more: split 'dev' is not"),
        (
            ["path,label", "a.png,1", "list.csv,2"],
            "line 3: list.csv lists itself, and is no picture",
        ),
        (["path,label,split", "a.png,1,dev"], "line 2: split 'dev'"),
        (["path,label,patient", "a.png,1,"], "line 2: no patient"),
        (["path,label", "a.png,1", "a.png,2"], "line 3: list.csv lists a.png more than once"),
        (
            ["path,label", "a.png,1", "./a.png,2"],
            r"lists \./a\.png more than once \(first as a\.png\)",
        ),
        (
            ["path,label", "a.png,1", "{here}/a.png,2"],
            r"/a\.png more than once \(first as a\.png\)",
        ),
        (["path,label", "a.png,1", "link.png,2"], r"link\.png more than once \(first as a\.png\)"),
        (["path,label", "a.png,1", "../o.png,2"], r"line 3: .*outside the folder .*outside=True"),
        (
            ["path,label", "a.png,1", "out.png,2"],
            r"out\.png lies outside the folder of the manifest",
        ),
        (["path,label", "a.png,1", f"{'x' * 300}.png,2"], "line 3: .*is no path"),
        (["path,label,split", "a.png,1,"], "line 2: no split; fill the column .* or drop it"),
        (
            ["path,label", "a.png,1", "b.png,1"],
            "one class only .*The column label names",
        ),
        (["path,label,split", "a.png,1,train", "b.png,2,test"], "outside the classes of train"),
    ],
)
def test_bad_manifests(tmp_path, lines, words):
    tmp_path = tmp_path / "in"
    for i, name in enumerate(("a.png", "b.png", "../o.png")):
        save(tmp_path / name, seed=i)
    (tmp_path / "link.png").symlink_to("a.png")
    (tmp_path / "out.png").symlink_to("../o.png")
    lines = [line.replace("{here}", str(tmp_path)) for line in lines]
    if "split" in lines[0] and "test" in lines[-1]:
        for i in range(8):
            save(tmp_path / f"c{i}.png", seed=9 + i)
            lines = [*lines, f"c{i}.png,1,{'val' if i else 'train'}"]
    with pytest.raises(ValueError, match=words):
        load(write_csv(tmp_path / "list.csv", *lines), "manifest")


def test_a_file_elsewhere_is_taken_where_it_is_allowed(tmp_path):
    path = manifest(tmp_path)
    (tmp_path / "lists").mkdir()
    path = path.rename(tmp_path / "lists" / "list.csv")
    path.write_text(path.read_text().replace("\np", "\n../p"))
    with pytest.raises(ValueError, match="line 2: .*p0_0.png lies outside .*data.outside=True"):
        load(path, "manifest")
    assert load(path, "manifest", outside=True).train.names[0].startswith("../p")


def test_paths_of_windows_are_told(tmp_path):
    save(tmp_path / "a" / "b.png")
    path = write_csv(tmp_path / "list.csv", "path,label", "a\\b.png,1")
    with pytest.raises(FileNotFoundError, match=r"line 2: no file .*write / instead of \\"):
        load(path, "manifest")


@pytest.mark.parametrize("split", [None, lambda p, i: f",{('train', 'val', 'test')[p % 3]}"])
def test_a_label_that_is_no_class(tmp_path, split):
    path = manifest(tmp_path, split=split)
    lines = [line.split(",") for line in path.read_text().splitlines()]
    for i, line in enumerate(lines[1:]):
        line[1] = f"L{i}"
        line[2] = line[2] if split else "ab"[i % 2]
    with pytest.raises(
        ValueError, match="list.csv: .*label has 40 values for 40 rows: is it the cl"
    ):
        load(write_csv(path, *map(",".join, lines)), "manifest")


def test_patients_that_may_be_one_are_named(tmp_path):
    for i in range(40):
        save(tmp_path / f"{i}.png", seed=i)
    lines = [f"{i}.png,{i % 2},{('p', 'P')[i % 2]}{i // 2}" for i in range(40)]
    path = write_csv(tmp_path / "list.csv", "path,label,patient", *lines)
    with pytest.warns(UserWarning, match="'p0' and 'P0'.*17 pairs more. are taken as two patients"):
        load(path, "manifest")


def test_names_cannot_write_to_a_terminal(tmp_path):
    fill(tmp_path)
    (tmp_path / "ill" / "0.png").rename(tmp_path / "ill" / "\x1b[2J.png")
    splits = load(tmp_path)
    names = [name for split in ("train", "val", "test") for name in splits[split].names]
    assert "ill/\\x1b[2J.png" in names and all(name.isprintable() for name in names)


def test_a_typo_in_one_label_names_the_class_that_is_meant(tmp_path):
    path = manifest(tmp_path, split=lambda p, i: ",train" if p < 12 else ",test")
    text = (
        path.read_text()
        .replace(",1,", ",opacity,")
        .replace("p15_0.png,opacity", "p15_0.png,opactiy")
    )
    path.write_text(text)
    words = r"p15_0.* has the label 'opactiy', that of one image only, .*; is 'opacity' meant"
    with pytest.raises(ValueError, match=words):
        load(path, "manifest")


def test_splits_without_a_test_say_what_there_is(tmp_path):
    path = manifest(tmp_path, split=lambda p, i: ",training")
    with pytest.raises(ValueError, match=r"split test \(.* in train.*name no splits"):
        load(path, "manifest")


def test_a_path_that_is_meant_for_a_table(tmp_path):
    path = manifest(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no file at .*absent\.csv .--config.data.root.$"):
        load(tmp_path / "absent.csv", "own")
    with pytest.raises(FileNotFoundError, match=r"tables of images: .*root=.*list\.csv"):
        load(tmp_path, "own")
    assert len(load(path, "own").train)


def test_a_text_among_scans_is_named_as_such(tmp_path):
    """Not as a second kind of pictures, for which no map fits."""
    for i in range(10):
        values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 9 + i
        make_object(tmp_path / f"{i}.dcm", values, modality="DX", patient=str(i))
    (tmp_path / "notes.txt").write_text("nothing")
    lines = [f"{i}.dcm,{'ab'[i % 2]}" for i in range(10)]
    path = write_csv(tmp_path / "list.csv", "path,label", *lines, "notes.txt,a")
    with pytest.raises(ValueError, match=r"^\S*notes\.txt is not an image"):
        load(path, "manifest")


def test_a_table_where_a_folder_is_read_and_the_reverse(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("path,label\nx.png,a\ny.png,b\nz.png,b\n", encoding="utf-8")
    given = dict(root=str(table), outside=False, seed=0)
    with pytest.raises(ValueError, match="--config.data.name=manifest"):
        list_folder(ConfigDict(dict(given, name="folder")))
    with pytest.raises(ValueError, match="--config.data.name=folder"):
        list_manifest(ConfigDict(dict(given, name="manifest", root=str(tmp_path))))
    with pytest.raises(FileNotFoundError, match=r"line 2: no file .*; nor of line 3, 4$"):
        list_manifest(ConfigDict(dict(given, name="manifest")))


@pytest.mark.parametrize("name", ["own", "folder", "manifest", "masks", "cohort"])
def test_an_npz_where_files_are_read_says_how_it_is(tmp_path, name):
    np.savez(tmp_path / "a.npz", train_images=np.zeros(3))
    with pytest.raises(ValueError, match="a.npz is an .npz: .*=breastmnist.*map_classes=NAME,NAME"):
        load(tmp_path / "a.npz", name)
