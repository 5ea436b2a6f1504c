"""Phantoms on disk: read instead of made, whole or not at all, and never those of other settings."""

import os
import threading
import time

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.phantoms import caching, heads

FACTS = {"kind": "test", "side": 8}


def arrays(value=1):
    return {
        "image": np.full((3, 8, 8, 1), value, np.uint8),
        "names": np.array(["a", "bé", "c"]),
        "truth.subject": np.arange(3),
    }


def same(one, other):
    return one.keys() == other.keys() and all(
        one[k].dtype == other[k].dtype and (one[k] == other[k]).all() for k in one
    )


def never():
    raise AssertionError("made although it is there")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("MSFLOW_JAX_PHANTOMS", str(tmp_path / "kept"))
    return tmp_path / "kept"


def kept_files(place):
    return sorted(place.glob("*.npz"))


def test_what_was_made_is_read(place, capsys):
    assert same(caching.kept(FACTS, arrays), arrays())
    assert f"phantoms kept in {kept_files(place)[0]} (1 MiB;" in capsys.readouterr().err
    assert same(caching.kept(dict(reversed(FACTS.items())), never), arrays())
    assert capsys.readouterr().err == ""


def test_other_settings_are_made(place):
    caching.kept(FACTS, arrays)
    assert caching.kept({**FACTS, "side": 9}, lambda: arrays(2))["image"].max() == 2
    assert len(kept_files(place)) == 2


def test_another_version_is_made(place, monkeypatch):
    caching.kept(FACTS, arrays)
    monkeypatch.setattr(caching, "VERSION", caching.VERSION + 1)
    assert caching.kept(FACTS, lambda: arrays(2))["image"].max() == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "other", "empty"])
def test_damaged_files_are_made_again(place, damage):
    caching.kept(FACTS, arrays)
    (path,) = kept_files(place)
    whole = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        whole[200] ^= 1
        path.write_bytes(whole)
    elif damage == "empty":
        path.write_bytes(b"")
    else:  # a sound file, of which someone changed an array
        np.savez(path, **arrays(7), sha256=np.array(caching._sum(arrays())))
    what = (
        r"not an \.npz archive: it holds nothing"
        if damage == "empty"
        else "(cut short or )?damaged"
    )
    with pytest.warns(
        UserWarning, match=rf"{path.name} is {what}.*[:;] its phantoms are made again"
    ):
        assert same(caching.kept(FACTS, arrays), arrays())
    assert same(caching.kept(FACTS, never), arrays())


def test_pickles_are_never_read(place):
    caching.kept(FACTS, arrays)
    (path,) = kept_files(place)
    np.savez(path, image=np.array([{"a": 1}], dtype=object), sha256=np.array(""))
    with pytest.warns(UserWarning, match="holds pickled objects.*; its phantoms are made again"):
        assert same(caching.kept(FACTS, arrays), arrays())


def test_not_kept_where_not_wanted(place, monkeypatch):
    caching.kept(FACTS, arrays, keep=False)
    assert not place.exists()
    monkeypatch.setenv("MSFLOW_JAX_PHANTOMS", "off")
    caching.kept(FACTS, arrays)
    assert caching.folder() is None and not place.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written(place):
    place.mkdir()
    place.chmod(0o500)
    with pytest.warns(UserWarning, match="cannot be written .*: every command makes its phantoms"):
        assert same(caching.kept(FACTS, arrays), arrays())


def test_a_file_in_the_way_of_the_folder(place):
    place.write_text("no folder")
    with pytest.warns(UserWarning, match="cannot be written .*; MSFLOW_JAX_PHANTOMS names"):
        assert same(caching.kept(FACTS, arrays), arrays())


def test_a_full_disk(place, monkeypatch):
    def full(file, **_):
        file.write(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.warns(UserWarning, match="No space left"):
        assert same(caching.kept(FACTS, arrays), arrays())
    assert kept_files(place) == [] and not list(place.glob(".*"))


def test_what_was_not_read_for_longest_goes_first(place, monkeypatch):
    for side in range(3):
        caching.kept({**FACTS, "side": side}, arrays)
    first, *_ = kept_files(place)
    size = first.stat().st_size
    for k, path in enumerate(kept_files(place)):
        os.utime(path, (1000 + k, 1000 + k))
    mine = {"kind": "test", "side": 0}
    caching.kept(mine, never)  # reading keeps it
    monkeypatch.setattr(caching, "LIMIT", int(2.5 * size))
    caching.kept({**FACTS, "side": 3}, arrays)
    assert len(kept_files(place)) == 2
    assert same(caching.kept(mine, never), arrays())
    monkeypatch.setattr(caching, "LIMIT", 10)
    caching.kept({**FACTS, "side": 4}, arrays)  # larger than all that may be kept
    assert len(kept_files(place)) == 2


def test_a_process_waits_for_another_one(place, capsys):
    """Threads hold a file lock against each other as processes do."""
    made = []

    def slowly():
        made.append(1)
        time.sleep(0.3)
        return arrays()

    threads = [threading.Thread(target=caching.kept, args=(FACTS, slowly)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert "waiting for another process" in capsys.readouterr().err


@pytest.mark.parametrize(("dims", "side"), [(2, 16), (3, 8)])
def test_phantoms_from_disk_are_those_that_were_made(place, dims, side, read_once, monkeypatch):
    config = data.default_config()
    config.dims, config.side, config.phantoms.subjects = dims, side, 10
    config.phantoms.slices = 1
    made = data.load(config)
    monkeypatch.setattr(heads, "_make", never)
    again = data.load(config)
    assert again.info == made.info
    for split in ("train", "val", "test"):
        one, other = made[split], again[split]
        assert one.names == other.names and one.groups == other.groups
        assert same(dict(one.arrays), dict(other.arrays)) and same(one.truth, other.truth)
    colour = config.copy_and_resolve_references()
    colour.channels = 3  # no voxel depends on it, nor on the names of the run
    assert data.load(colour).train.images.shape[-1] == 3
    assert len(kept_files(place)) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 1), ("side", 17), ("dims", 3), ("phantoms.task", "scanner"),
        ("phantoms.contrast", "t1w"), ("phantoms.subjects", 11), ("phantoms.slices", 2),
        ("phantoms.noise", 0.03), ("phantoms.bias", 0.1),
    ],
)  # fmt: skip
def test_every_setting_that_changes_a_pixel_is_in_the_key(place, key, value, monkeypatch):
    seen = []

    def note(facts, make, keep):
        seen.append(caching.digest_of(facts))
        raise InterruptedError

    monkeypatch.setattr(heads, "kept", note)
    for change in (None, (key, value)):
        config = data.default_config()
        config.side = 16
        if change:
            config.update_from_flattened_dict({change[0]: change[1]})
        with pytest.raises(InterruptedError):
            data.load(config)
    assert seen[0] != seen[1]


def test_all_are_made_in_order_whatever_thread_is_first():
    def make(number):
        time.sleep(0.02 * (number % 3 == 0))
        return {"number": np.array([number])}

    found = caching.make_all(make, 12, "Making numbers", 1)
    np.testing.assert_array_equal(found["number"], np.arange(12))


def test_an_error_ends_the_making():
    begun = []

    def make(number):
        begun.append(number)
        time.sleep(0.01)
        if number == 1:
            raise ValueError("no head")
        return {"number": np.array([number])}

    with pytest.raises(ValueError, match="no head"):
        caching.make_all(make, 1000, "Making numbers", 0)
    assert len(begun) < 900
