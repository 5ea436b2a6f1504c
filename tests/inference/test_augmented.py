"""A training set of real and drawn images: what is in it, and that the splits stay apart."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from ml_collections import ConfigDict

from msflow_jax import data
from msflow_jax.config import default_config
from msflow_jax.data import Split, Splits
from msflow_jax.data.base import own_info
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.grey.levels import to_grey
from msflow_jax.data.sources.grey.written import NAME
from msflow_jax.data.sources.listings.manifest import list_manifest
from msflow_jax.data.sources.packs.packed import Settings
from msflow_jax.data.sources.packs.packing import pack
from msflow_jax.inference.augmented import counts_to_draw, write_training_set

CLASSES = ("a, b", "=c")


def split(count, seed, groups=None):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 8, 8, 1), np.uint8)
    names = tuple(f"patient-{seed}-{i}.png" for i in range(count))
    labels = (np.arange(count) % 3 == 0).astype(np.int32)
    return Split.of_images(images, labels, names, groups=groups)


@pytest.fixture
def splits():
    info = own_info(CLASSES, (8, 8, 1), name="own", licence="", md5="", source="here")
    groups = [tuple(f"{name}-{i // 2}" for i in range(9)) for name in ("x", "y", "z")]
    return Splits(*(split(9, i, groups[i]) for i in range(3)), info=info)


def test_classes_are_balanced_and_counts_added():
    counts = np.array([5, 2, 5])
    assert counts_to_draw(counts, 4, False).tolist() == [4, 4, 4]
    assert counts_to_draw(counts, 0, True).tolist() == [0, 3, 0]
    assert counts_to_draw(counts, 1, True).tolist() == [1, 4, 1]
    assert counts_to_draw(counts, 0, True, [1]).tolist() == [0, 3, 0]
    assert counts_to_draw(counts, 2, False, [2]).tolist() == [0, 0, 2]
    with pytest.raises(ValueError, match="these classes"):
        counts_to_draw(counts, 0, True, [2])
    with pytest.raises(ValueError, match="--count"):
        counts_to_draw(np.array([5, 5]), 0, True)


@pytest.mark.parametrize("known", [True, False])
def test_the_source_manifest_reads_it_and_drawn_images_are_training_images(splits, tmp_path, known):
    if not known:
        splits = dataclasses.replace(splits, val=dataclasses.replace(splits.val, groups=None))
    drawn = np.random.default_rng(9).integers(0, 256, (4, 8, 8, 1), np.uint8)
    found = write_training_set(tmp_path, splits, drawn, np.array([0, 1, 1, 1]))
    assert found == {"train": [6, 3], "val": [6, 3], "test": [6, 3], "drawn": [1, 3]}
    text = (tmp_path / "manifest.csv").read_text()
    assert "patient-" not in text and ("patient" in text.splitlines()[0]) == known
    with (tmp_path / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {r["split"] for r in rows if r["origin"] == "drawn"} == {"train"}
    config: ConfigDict = default_config().data
    config.name, config.root = "manifest", str(tmp_path / "manifest.csv")
    config.channels, config.side = 1, 8
    read = data.load(config)
    assert set(read.info.classes) == set(CLASSES)
    assert len(read.train) == 13 and len(read.val) == len(read.test) == 9
    for name in ("val", "test"):  # the very pixels, whatever the order
        pixels = [{image.tobytes() for image in one[name].images} for one in (splits, read)]
        assert pixels[0] == pixels[1] and len(pixels[0]) == 9
    assert {i.tobytes() for i in drawn} <= {i.tobytes() for i in read.train.images}
    origin = read.train.truth["origin"]
    assert (origin == "drawn").sum() == 4
    if known:  # each drawn image is a subject of its own
        of_drawn = [g for g, o in zip(read.train.groups, origin, strict=True) if o == "drawn"]
        assert len(set(of_drawn)) == 4


def test_a_model_of_the_set_knows_what_its_grey_levels_stand_for(splits, tmp_path):
    scanner = Intensity("percentiles", 146.0, 2621.7, modality="DX")
    deep = dataclasses.replace(
        splits, info=dataclasses.replace(splits.info, intensities={"image": scanner})
    )
    table = tmp_path / "set/manifest.csv"
    table.parent.mkdir()
    write_training_set(table.parent, deep, np.zeros((1, 8, 8, 1), np.uint8), np.array([0]))
    config: ConfigDict = default_config().data
    config.name, config.root, config.channels, config.side = "manifest", str(table), 1, 8
    read = data.load(config)
    assert read.info.intensity() == scanner
    pixels = [{image.tobytes() for image in one.test.images} for one in (splits, read)]
    assert pixels[0] == pixels[1]  # as they were, not through the map
    packed = pack(list_manifest(config), tmp_path / "packed", Settings(side=8, channels=1))
    assert json.loads(packed.read_text())["intensity"] == scanner.to_dict()
    values = np.full((4, 4, 1), 2621.7)
    assert to_grey(Picture(values), read.info.intensity(), "x").max() == 255
    with pytest.raises(ValueError, match="8 bits"):
        to_grey(Picture(np.zeros((4, 4, 1), np.uint8)), read.info.intensity(), "x")
    (table.parent / NAME).write_text('{"kind": "percentiles", "lows": 1}')
    with pytest.raises(ValueError, match=f"{NAME} is no map.*lows"):
        data.load(config)
