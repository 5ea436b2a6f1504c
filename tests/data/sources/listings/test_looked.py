"""With `grain`, and in packing, training images are looked at as well as those that are read before."""

import dataclasses
import warnings

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.data.begun import load_again
from msflow_jax.data.sources.grey import choice
from msflow_jax.data.sources.listings.manifest import list_manifest
from msflow_jax.data.sources.packs.packing import Settings, pack
from tests.data.sources.cohort.cohorts import save, table, volume

SPLITS = ["train"] * 12 + ["val"] * 4 + ["test"] * 4


def config_of(folder, make, **settings):
    """A manifest of what ``make(i, split)`` writes."""
    rows = [
        {"path": make(i, split), "label": f"g{i % 2}", "patient": f"P{i}", "split": split}
        for i, split in enumerate(SPLITS)
    ]
    config = data.default_config("manifest")
    config.update({"root": str(table(folder, rows)), **settings})
    return config


def lines(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = call()
    return sorted(str(w.message) for w in caught), found


def loaded(config, loader):
    config.loader = loader
    return lines(lambda: data.load(config).info)


def sizes(folder):
    """Volumes for training of two voxel sizes, the others of one."""

    def make(i, split):
        spacing = (6, 2, 2) if split == "train" and i % 2 else (3, 1, 1)
        return save(folder / f"a{i}.nii.gz", volume(i), spacing=spacing)

    return config_of(folder, make, dims=3)


@pytest.mark.parametrize("most", [4096, 1])
def test_sizes_of_voxels_are_those_of_all(tmp_path, monkeypatch, most):
    monkeypatch.setattr(choice, "FITTED", most)  # beyond them the header says it
    config = sizes(tmp_path)
    (whole, info), (lazy, other) = loaded(config, "device"), loaded(config, "grain")
    assert info.spacing == other.spacing == ()
    assert whole == lazy and len(lazy) == 1 and "voxels of 6 x 2 x 2 mm" in lazy[0]
    assert info.identity == other.identity


def test_a_run_that_keeps_a_wrong_size_goes_on_with_a_line(tmp_path):
    config = sizes(tmp_path)
    _, info = loaded(config, "grain")
    kept = dataclasses.replace(info, spacing=(3.0, 1.0, 1.0))
    said, splits = lines(lambda: load_again(config, kept, tmp_path / "splits.csv"))
    assert splits.info.identity == kept.identity
    (line,) = [one for one in said if "this run keeps" in one]
    assert "table.csv: this run keeps voxels of 3 x 1 x 1 mm" in line and "new --workdir" in line
    said, _ = lines(lambda: load_again(config, info, tmp_path / "splits.csv"))
    assert not any("this run keeps" in one for one in said)


def flat(folder):
    def make(i, split):
        black = split == "train" and i % 3 == 0
        Image.fromarray(volume(i, (8, 8)) * np.uint8(not black)).save(folder / f"c{i}.png")
        return f"c{i}.png"

    return config_of(folder, make, duplicates="keep")


def dark(folder):
    def make(i, split):
        values = volume(i, (8, 8), np.uint16, 0, 4096) // (40 if i % 3 == 0 else 1)
        Image.fromarray(values).save(folder / f"d{i}.png")
        return f"d{i}.png"

    return config_of(folder, make)


@pytest.mark.parametrize(
    ("make", "words"), [(flat, "4 of 20 images hold hardly any"), (dark, "7 of 20 images use less")]
)
def test_training_images_without_shades_are_named(tmp_path, make, words):
    config = make(tmp_path)
    (whole, _), (lazy, _) = loaded(config, "device"), loaded(config, "grain")
    assert whole == lazy and any(words in one for one in lazy)
    pytest.importorskip("array_record")
    packed, _ = lines(lambda: pack(list_manifest(config), tmp_path / "p", Settings(), refuse=False))
    assert any(words in one for one in packed)


def test_of_many_training_images_some_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "FITTED", 5)
    said, _ = loaded(flat(tmp_path), "grain")
    assert any("of 13 images hold hardly any" in one for one in said)  # 5, and 8 of other splits
    assert choice.spread(range(3, 103)) == [3, 27, 52, 77, 102] and choice.spread([]) == []
