"""The identity of the data: what differs is named, labels are mapped by the names of classes."""

import dataclasses

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.identity import identify, read_split_table
from msflow_jax.storage import text
from tests.data.sources.listings.test_files import fill, load, save, write_csv
from tests.data.sources.listings.test_manifest import manifest


def listed(tmp_path, name="list.csv", label=lambda i: ("mild", "severe")[i % 2], split=None):
    """A manifest of 40 pictures with a split column, the first 28 to train."""
    if not (tmp_path / "0.png").exists():
        for i in range(40):
            save(tmp_path / f"{i}.png", seed=i)
    split = split or (lambda i: "train" if i < 28 else "val" if i < 32 else "test")
    lines = [f"{i}.png,{label(i)},{split(i)}" for i in range(40)]
    return write_csv(tmp_path / name, "path,label,split", *lines)


@pytest.fixture
def then(tmp_path):
    """Splits of a run, and the table that it wrote."""
    from msflow_jax.storage.text import write_csv as write_rows

    splits = load(listed(tmp_path), "manifest")
    write_rows(tmp_path / "splits.csv", data.split_table(splits))
    return splits


def test_the_same_data_are_the_same(tmp_path, then):
    now = load(listed(tmp_path, "copy.csv"), "manifest")
    assert now.info.identity == then.info.identity
    assert data.as_trained(now, then.info) is now


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label": lambda i: ("severe", "mild")[i % 2]},
         r"labels differ \(of 40 of 40 pictures; the first: 0.png was 'mild', is 'severe'\)"),
        ({"label": lambda i: ("mild", "severe")[i % 2 or i == 2]},
         r"labels differ \(of 1 of 40 pictures; the first: 2.png was 'mild', is 'severe'\)"),
        ({"split": lambda i: "test" if i < 8 else "val" if i < 16 else "train"},
         r"the cut into splits differs \(of 28 .* the first: \d+.png was"),
        ({"label": lambda i: ("B", "A")[i % 2]},
         "has the classes A, B, but the model was trained on mild, severe"),
    ],
)  # fmt: skip
def test_another_manifest_of_the_same_pictures_is_refused(tmp_path, then, changes, words):
    now = load(listed(tmp_path, "other.csv", **changes), "manifest")
    assert now.info.md5 == then.info.md5  # which is of the pictures alone
    with pytest.raises(ValueError, match=words) as caught:
        data.as_trained(now, then.info, tmp_path / "splits.csv")
    assert "other.csv" in str(caught.value)
    if "classes" not in words:
        with pytest.raises(ValueError, match=words.split(" ")[0] + ".* differ"):
            data.as_trained(now, then.info, tmp_path / "absent.csv")


def test_other_pictures_are_refused(tmp_path, then):
    save(tmp_path / "7.png", seed=99)
    with pytest.raises(ValueError, match="run: the contents of pictures differ. Point"):
        data.as_trained(load(tmp_path / "list.csv", "manifest"), then.info)
    save(tmp_path / "new.png", seed=7)
    path = tmp_path / "list.csv"
    path.write_text(path.read_text().replace("\n7.png", "\nnew.png"))
    with pytest.raises(ValueError, match=r"names .*: 1 gone \(7.png\), 1 new \(new.png\)\. Point"):
        data.as_trained(load(path, "manifest"), then.info, tmp_path / "splits.csv")


@pytest.mark.parametrize("loader", ["device", "grain"])
def test_classes_in_another_order_are_mapped_by_name(tmp_path, then, loader):
    """As a data set of names in another order has them: a label keeps its meaning."""
    order = dataclasses.replace(
        then.info, classes=("severe", "mild"), counts=then.info.counts[::-1], modalities={}
    )
    now = load(tmp_path / "list.csv", "manifest", loader=loader)
    mapped = data.as_trained(now, order)
    assert mapped.info.classes == ("severe", "mild") and mapped.info.counts == order.counts
    assert mapped.info.modalities == order.modalities
    for split in ("train", "val", "test"):
        np.testing.assert_array_equal(mapped[split].labels, 1 - now[split].labels)
        assert mapped[split].labels.dtype == np.int32
    assert data.split_table(mapped) == data.split_table(now)


def test_runs_of_before_are_known_by_md5_and_counts(tmp_path, then):
    old = dataclasses.replace(then.info, identity={})
    again = load(tmp_path / "list.csv", "manifest")
    assert data.as_trained(again, old) is again
    other = load(listed(tmp_path, "o.csv", label=lambda i: ("mild", "severe")[i < 5]), "manifest")
    with pytest.raises(ValueError, match=r"had \[14, 14\] training images .*these have \[23, 5\]"):
        data.as_trained(other, old)
    with pytest.raises(ValueError, match="it had md5 0000"):
        data.check_same(dataclasses.replace(old, md5="0000"), again.info)
    lazily = load(
        tmp_path / "list.csv", "manifest", loader="grain"
    )  # had a sum of sizes as its MD5
    listing = lazily.info.identity["listing"]
    data.check_same(dataclasses.replace(old, md5=listing), lazily.info)
    assert load(tmp_path / "list.csv", "manifest", md5=listing).info.md5 == then.info.md5


@pytest.mark.parametrize("name", ["folder", "arrayrecord", "manifest"])
def test_loaders_and_sources_agree(tmp_path, name):
    """A folder, its manifest and its shards hold the same data, whichever the loader."""
    root = fill(tmp_path / "images")
    folder = load(root)
    keys = ("names", "contents", "labels", "splits")
    if name == "manifest":
        lines = [f"{r['name']},{r['label']},{r['split']}" for r in data.split_table(folder)]
        root = write_csv(root / "list.csv", "path,label,split", *lines[::-1])
    if name == "arrayrecord":
        pytest.importorskip("array_record")
        from msflow_jax.data.sources.packs.packing import Settings, pack
        from tests.data.sources.packs.test_records import listing

        pack(listing(root), tmp_path / "packed", Settings(shard_images=4))
        root = tmp_path / "packed"
    for loader in ("device", "grain"):
        found = load(root, name, loader=loader)
        assert {k: found.info.identity[k] for k in keys} == {
            k: folder.info.identity[k] for k in keys
        }
        assert found.info.counts == folder.info.counts
        if name != "arrayrecord":
            assert found.info.md5 == folder.info.md5


def test_every_part_counts():
    config = data.default_config()
    config.phantoms.update({"subjects": 20, "slices": 1})
    splits = data.load(config)
    first = identify(splits)
    assert set(first) == {"names", "contents", "labels", "splits"}
    images, maps = splits.test.images.copy(), splits.test.maps.copy()
    images[0, 3, 3] ^= 1
    maps[0, 3, 3] ^= 1
    for key, array in (("image", images), ("map", maps)):
        test = dataclasses.replace(splits.test, arrays={**splits.test.arrays, key: array})
        found = identify(dataclasses.replace(splits, test=test))
        assert {k for k in first if first[k] != found[k]} == {"contents"}
    exchanged = dataclasses.replace(splits, val=splits.test, test=splits.val)
    found = identify(exchanged)
    assert {k for k in first if first[k] != found[k]} == {"splits"}


def test_the_split_on_paper_names_nobody(tmp_path):
    splits = load(manifest(tmp_path), "manifest")
    rows = data.split_table(splits)
    assert list(rows[0]) == ["name", "subject", "split", "label"] and len(rows) == 40
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    by_subject = {row["subject"]: row["name"].split("_")[0] for row in rows}
    assert sorted(by_subject, key=int) == [str(i + 1) for i in range(20)]
    assert all(by_subject[row["subject"]] == row["name"].split("_")[0] for row in rows)
    assert {row["label"] for row in rows} == {"1", "2", "10"}
    lazily = load(tmp_path / "list.csv", "manifest", loader="grain")
    assert data.split_table(lazily) == rows
    assert all(row["subject"] == "" for row in data.split_table(load(fill(tmp_path / "f"))))


@pytest.mark.parametrize("content", [b"", b"x,y\n1,2\n", b"\xff\xfe", b'name,split,label\n"a'])
def test_a_damaged_table_explains_nothing(tmp_path, content):
    (tmp_path / "splits.csv").write_bytes(content)
    assert read_split_table(tmp_path / "splits.csv") in (
        [],
        [{"name": "a", "split": "", "label": ""}],
    )


def test_the_split_on_paper_is_read_as_it_was_written(tmp_path):
    names = ["=a.png", "'b.png", "+1", "a\udcff.png"]
    rows = [{"name": n, "subject": "", "split": "train", "label": "-x"} for n in names]
    assert read_split_table(text.write_csv(tmp_path / "splits.csv", rows)) == rows


def test_three_classes_that_change_places_in_a_circle_are_mapped_by_name(tmp_path):
    """Two that change places come back by either way; three tell there from back."""
    now = load(listed(tmp_path, label=lambda i: "aabbbc"[i % 6]), "manifest")
    of = dict(zip(now.info.classes, now.info.counts, strict=True))
    assert now.info.classes == ("a", "b", "c") and len(set(of.values())) == 3
    order = ("c", "a", "b")
    then = dataclasses.replace(
        now.info, classes=order, counts=tuple(of[name] for name in order), modalities={}
    )
    mapped = data.as_trained(now, then)
    assert mapped.info.counts == then.counts
    assert data.split_table(mapped) == data.split_table(now)
