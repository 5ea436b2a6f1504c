"""Packed images: what goes in comes out, an interrupted call goes on, damage is named."""

import json

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.sources.listings.folders import list_folder
from msflow_jax.data.sources.listings.manifest import list_manifest
from msflow_jax.data.sources.packs import packing, records, shards
from msflow_jax.data.sources.packs.packing import Settings, pack
from msflow_jax.storage.jobs import Engine
from tests.data.sources.listings.test_files import fill, save
from tests.data.sources.listings.test_manifest import manifest

pytest.importorskip("array_record")


def listing(root):
    config = data.default_config("folder")
    config.root = str(root)
    return list_folder(config)


def load(root, name="arrayrecord", **fields):
    config = data.default_config(name)
    config.update({"root": str(root), **fields})
    return data.load(config)


@pytest.fixture
def packed(tmp_path):
    fill(tmp_path / "images")
    pack(listing(tmp_path / "images"), tmp_path / "packed", Settings(shard_images=4))
    return tmp_path / "packed"


def by_name(split):
    split = data.in_memory(split)
    return {n: (i.tobytes(), k) for n, i, k in zip(split.names, split.images, split.labels)}  # noqa: B905


@pytest.mark.parametrize("loader", ["device", "grain"])
def test_what_goes_in_comes_out(packed, loader):
    plain, out = load(packed.parent / "images", "folder"), load(packed, loader=loader)
    assert out.info.classes == plain.info.classes and out.info.counts == plain.info.counts
    for split in ("train", "val", "test"):
        assert by_name(out[split]) == by_name(plain[split])
    assert isinstance(out.train, data.LazySplit) == (loader == "grain")
    assert len(list(packed.glob("train-*-of-00004.arrayrecord"))) == 4  # 14 images, 4 a shard


def test_images_are_brought_to_a_side_when_packed_or_when_read(tmp_path):
    fill(tmp_path / "images", shape=(12, 9, 3))
    with pytest.raises(ValueError, match="12 x 9, expected 12 x 12"):
        pack(listing(tmp_path / "images"), tmp_path / "packed", Settings())
    pack(listing(tmp_path / "images"), tmp_path / "packed", Settings(side=8))
    whole = load(tmp_path / "images", "folder", side=8)
    out = load(tmp_path / "packed")
    assert by_name(out.train) == by_name(whole.train)
    small = load(tmp_path / "packed", side=4, channels=1)
    assert small.train.images.shape[1:] == (4, 4, 1) and small.info.side == 4


def test_an_interrupted_packing_goes_on(tmp_path, monkeypatch):
    fill(tmp_path / "images")
    pack(listing(tmp_path / "images"), tmp_path / "whole", Settings(shard_images=4))
    write, calls = shards.write_shard, []

    def write_some(shard, **rest):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(shard.path.name)
        return write(shard, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_shard", write_some)
        with pytest.raises(KeyboardInterrupt):
            pack(listing(tmp_path / "images"), tmp_path / "packed", Settings(shard_images=4))
    with pytest.raises(FileNotFoundError, match="repeat its command if it was interrupted"):
        load(tmp_path / "packed")
    first = tmp_path / "packed" / calls[0]
    first.write_bytes(first.read_bytes()[:-1])  # damaged meanwhile: written again
    (tmp_path / "packed" / ".train-x.arrayrecord.1.tmp").touch()
    done = []
    pack(listing(tmp_path / "images"), tmp_path / "packed", Settings(shard_images=4), done.append)
    assert sum(done) == 20
    names = [p.name for p in sorted((tmp_path / "whole").iterdir())]
    assert [p.name for p in sorted((tmp_path / "packed").iterdir())] == names
    for name in names:
        assert (tmp_path / "packed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


ENGINES = [Engine(workers=2), Engine("beam")]


@pytest.mark.parametrize("engine", ENGINES, ids=["processes", "beam"])
def test_whatever_packs_them_shards_and_tables_are_the_same(packed, engine):
    if engine.name == "beam":
        pytest.importorskip("apache_beam")
    other, counted = packed.with_name("other"), []
    images = listing(packed.parent / "images")
    pack(images, other, Settings(shard_images=4), counted.append, engine=engine)
    assert sum(counted) == 20
    names = [path.name for path in sorted(packed.iterdir())]
    assert [path.name for path in sorted(other.iterdir())] == names
    for name in names:
        assert (other / name).read_bytes() == (packed / name).read_bytes()


def test_a_shard_damaged_after_packing_is_written_again(packed):
    shard = packed / "train-00001-of-00004.arrayrecord"
    good, manifest = shard.read_bytes(), (packed / "manifest.json").read_bytes()
    shard.write_bytes(good[:-1])
    pack(listing(packed.parent / "images"), packed, Settings(shard_images=4))
    assert shard.read_bytes() == good and (packed / "manifest.json").read_bytes() == manifest


def test_another_packing_is_not_overwritten(packed):
    images = packed.parent / "images"
    with pytest.raises(FileExistsError, match="other images or settings.*another folder"):
        pack(listing(images), packed, Settings(shard_images=5))
    save(images / "ill" / "new.png", seed=7)
    with pytest.raises(FileExistsError, match="other images or settings"):
        pack(listing(images), packed, Settings(shard_images=4))


def test_damage_is_named(packed):
    assert records.verify(packed) == 9  # 4 + 1 + 1 shards, 3 tables
    shard = packed / "train-00001-of-00004.arrayrecord"
    good = shard.read_bytes()
    shard.write_bytes(good[:-1])
    with pytest.raises(ValueError, match=f"{shard} is damaged .*bytes, expected"):
        load(packed)
    shard.write_bytes(good)
    right, wrong = by_name(load(packed).train), 0
    # Wherever a byte flips, nothing loads silently wrong (most of the file is padding).
    for at in [*range(0, 1500, 37), *range(65536, len(good), 5003)]:
        shard.write_bytes(good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
        with pytest.raises(ValueError, match=f"{shard} is damaged"):
            records.verify(packed)
        try:
            assert by_name(load(packed).train) == right
        except ValueError as error:
            assert str(shard) in str(error)
            wrong += 1
    assert wrong
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=f"no file {shard}"):
        load(packed)
    shard.write_bytes(good)
    table = (packed / "val.csv").read_text()
    (packed / "val.csv").write_text(table.replace(",ill", ",eel"))
    with pytest.raises(ValueError, match="val.csv is damaged"):
        load(packed)
    (packed / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match="manifest.json cannot be used"):
        load(packed)
    with pytest.raises(ValueError, match=r"manifest\.json is damaged .*remove the folder"):
        pack(listing(packed.parent / "images"), packed, Settings(shard_images=4))
    with pytest.raises(FileNotFoundError, match="msflow pack"):
        load(packed / "nowhere")


def manifests(good):
    """The same manifest with one entry absent, and with one of another type, for every entry."""
    for key in good:
        yield {k: v for k, v in good.items() if k != key}
        yield {**good, key: 7}
    for key in ("tables", "shards"):
        for name in good[key][0]:
            first = {k: v for k, v in good[key][0].items() if k != name}
            yield {**good, key: [first, *good[key][1:]]}
            yield {**good, key: [{**first, name: []}, *good[key][1:]]}
        yield {**good, key: [{**good[key][0], "file": "../x"}, *good[key][1:]]}
    yield from ([], 7, None, "x", {**good, "shape": [8]}, {**good, "classes": ["ill"]})


def test_a_manifest_of_another_form_is_one_line(packed):
    path = packed / "manifest.json"
    good = json.loads(path.read_text())
    free = ("packed", "settings")  # of the packing, not of the data
    for changed in manifests(good):
        path.write_text(json.dumps(changed))
        if isinstance(changed, dict) and {**changed, "fit": "pad"} == good and "fit" not in changed:
            assert load(packed).info.fit == "crop"  # a pack of before there was a choice
            continue
        if isinstance(changed, dict) and any(
            changed.get(k) != good[k] and {**changed, k: good[k]} == good for k in free
        ):
            load(packed)
            continue
        with pytest.raises((ValueError, FileNotFoundError), match=str(packed)):
            load(packed)
    path.write_bytes(b"<html>")
    with pytest.raises(ValueError, match="holds an HTML page"):
        load(packed)


def test_subjects_stay_together_in_shards_as_numbers(tmp_path):
    config = data.default_config("manifest")
    config.root = str(manifest(tmp_path))
    pack(list_manifest(config), tmp_path / "packed", Settings())
    plain, out = data.load(config), load(tmp_path / "packed")
    for split in ("train", "val", "test"):
        pairs = dict(zip(out[split].names, out[split].groups, strict=True))
        first = dict(zip(plain[split].names, plain[split].groups, strict=True))
        subjects = {(first[name], pairs[name]) for name in first}
        assert len(subjects) == len(set(first.values())) == len(set(pairs.values()))
    assert "P1" not in (tmp_path / "packed" / "train.csv").read_text()


def test_a_pack_of_before_is_known_by_its_manifest(packed):
    """Its tables have no MD5 of each image."""
    path = packed / "manifest.json"
    facts = json.loads(path.read_text())
    for entry in facts["tables"]:
        table = packed / entry["file"]
        table.write_text(
            "".join(",".join(line.split(",")[:2]) + "\n" for line in table.read_text().split())
        )
        entry.update(packing._facts(table))
    path.write_text(json.dumps(facts))
    found = [load(packed, loader=loader).info for loader in ("device", "grain")]
    assert found[0] == found[1] and found[0].identity["contents"] == found[0].md5


def test_reading_twice_in_any_order(packed):
    train = load(packed, loader="grain").train
    order = np.random.default_rng(0).permutation(len(train))
    np.testing.assert_array_equal(train.take(order).images, train.take(order).images)
