"""Facts and splits: JSON round trip, checks, channel conversion, and the door itself."""

import dataclasses
import json

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.sources.fitting import convert_channels

INFO = data.Info(
    name="x",
    classes=("a", "b"),
    channels=3,
    side=8,
    task="binary-class",
    licence="CC0",
    md5="0" * 32,
    source="somewhere",
    flips=("horizontal",),
)


def make_split(count: int = 3) -> data.Split:
    images = np.arange(count * 4 * 4, dtype=np.uint8).reshape(count, 4, 4, 1)
    return data.Split.of_images(
        images,
        np.arange(count, dtype=np.int32),
        tuple("abcdef"[:count]),
        maps=images[..., 0],
        truth={"area": np.arange(count) / 2},
        groups=tuple("ppqqrr"[:count]),
    )


def test_info_survives_json():
    again = data.Info.from_dict(json.loads(json.dumps(INFO.to_dict())))
    assert again == INFO
    assert isinstance(again.classes, tuple)


def test_names_from_files_of_others_are_printable():
    odd = data.Info.from_dict({**INFO.to_dict(), "name": "x\x1b[2J", "classes": ["a\n", "b"]})
    assert odd.name == "x\\x1b[2J" and odd.classes == ("a\\x0a", "b")
    assert odd.modalities["label"].names == odd.classes


def test_identity_survives_json_and_is_absent_of_before():
    assert "identity" not in INFO.to_dict()
    info = dataclasses.replace(INFO, identity={"names": "0", "labels": "1"})
    assert data.Info.from_dict(json.loads(json.dumps(info.to_dict()))) == info != INFO


def test_info_from_older_dict_without_map_classes():
    fields = INFO.to_dict()
    del fields["map_classes"]
    assert data.Info.from_dict(fields) == INFO


def test_an_older_dict_has_the_modalities_of_one_image():
    assert "modalities" not in INFO.to_dict()
    found = data.Info.from_dict({**INFO.to_dict(), "map_classes": ["air", "bone"]}).modalities
    assert found == {
        "image": data.Modality("image", (8, 8, 3)),
        "label": data.Modality("label", (), names=("a", "b")),
        "map": data.Modality("map", (8, 8), names=("air", "bone")),
    }


def test_modalities_survive_json():
    pair = {
        "ct": data.Modality("image", (4, 8, 8, 1), names=("HU",)),
        "report": data.Modality("tokens", (16,)),
    }
    info = dataclasses.replace(INFO, modalities=pair)
    assert data.Info.from_dict(json.loads(json.dumps(info.to_dict()))) == info != INFO


def test_class_weights():
    info = dataclasses.replace(INFO, counts=(10, 30))
    assert info.class_weights("natural") is None
    assert info.class_weights("uniform") == pytest.approx((2.0, 2 / 3))
    assert data.Info.from_dict(json.loads(json.dumps(info.to_dict()))) == info
    with pytest.raises(ValueError, match="unknown class prior 'flat'"):
        info.class_weights("flat")
    for counts in ((), (0, 3)):
        with pytest.raises(ValueError, match="needs the number of training images"):
            dataclasses.replace(INFO, counts=counts).class_weights("uniform")


@pytest.mark.parametrize(
    ("change", "words"),
    [({"colour": 1}, "unknown fields: colour"), ({"md5": None}, "lacks the fields: md5")],
)
def test_info_names_wrong_fields(change, words):
    fields = {k: v for k, v in {**INFO.to_dict(), **change}.items() if v is not None}
    with pytest.raises(ValueError, match=words):
        data.Info.from_dict(fields)


def test_info_refuses_unknown_task():
    with pytest.raises(ValueError, match="multi-label"):
        data.Info.from_dict({**INFO.to_dict(), "task": "multi-label"})


def test_take_keeps_rows_together():
    part = make_split().take(np.array([2, 0]))
    assert part.names == ("c", "a")
    assert len(part) == 2
    np.testing.assert_array_equal(part.labels, [2, 0])
    np.testing.assert_array_equal(part.images[..., 0], part.maps)
    np.testing.assert_array_equal(part.truth["area"], [1.0, 0.0])
    assert part.groups == ("q", "p")


def test_a_split_of_pairs_knows_its_kinds_and_what_is_missing():
    volumes = np.arange(3 * 2 * 4 * 5, dtype=np.uint8).reshape(3, 2, 4, 5, 1)
    split = data.Split(
        {"ct": volumes, "report": np.ones((3, 7), np.int32)},
        names=("a", "b", "c"),
        kinds={"ct": "image", "report": "tokens"},
        present={"report": np.array([True, False, True])},
    )
    part = split.take(np.array([2, 1]))
    assert part.modalities == {
        "ct": data.Modality("image", (2, 4, 5, 1)), "report": data.Modality("tokens", (7,)),
    }  # fmt: skip
    np.testing.assert_array_equal(part.arrays["ct"], volumes[[2, 1]])
    np.testing.assert_array_equal(part.present["report"], [True, False])
    assert part.groups is None and part.maps is None
    with pytest.raises(ValueError, match="no 'image'; it has ct, report"):
        _ = split.images
    with pytest.raises(ValueError, match="of which kind is the array 'ct'"):
        data.Split({"ct": volumes}, ("a", "b", "c"))


def test_a_lazy_split_takes_its_groups_along():
    split = make_split()
    lazy = data.LazySplit(split.read, split.labels, split.names, (4, 4, 1), split.groups)
    assert lazy.side == 4 and lazy.modalities == {
        name: split.modalities[name] for name in ("image", "label")
    }
    part = lazy.take(np.array([2, 0]))
    assert part.groups == ("q", "p") and part.names == ("c", "a")
    np.testing.assert_array_equal(part.images, split.images[[2, 0]])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("images", np.zeros((3, 4, 4, 1), np.float32)),
        ("images", np.zeros((3, 4, 5, 1), np.uint8)),
        ("labels", np.zeros(3, np.int64)),
        ("labels", np.zeros(2, np.int32)),
        ("names", ("a",)),
        ("maps", np.zeros((3, 4, 3), np.uint8)),
        ("truth", {"area": np.zeros(4)}),
        ("groups", ("p", "q")),
    ],
)
def test_split_refuses_mismatched_parts(field, value):
    split = make_split()
    parts = {k: getattr(split, k) for k in ("images", "labels", "names", "maps", "truth", "groups")}
    with pytest.raises(ValueError):
        data.Split.of_images(**{**parts, field: value})


def test_splits_by_name():
    split = make_split()
    splits = data.Splits(split, split, split, INFO)
    assert splits["val"] is splits.val
    with pytest.raises(ValueError, match="train, val, test"):
        splits["valid"]


def test_channels_both_ways():
    grey = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)
    rgb = convert_channels(grey, 3)
    assert rgb.shape == (2, 4, 4, 3)
    np.testing.assert_array_equal(convert_channels(rgb, 1), grey)
    red = np.zeros((1, 1, 1, 3), np.uint8)
    red[..., 0] = 255
    assert convert_channels(red, 1).item() == 76  # ITU-R 601: 0.299 * 255
    assert convert_channels(grey, 0) is grey


def test_unknown_source_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown data source 'cifar'.*phantoms.*breastmnist"):
        data.load(data.default_config("cifar"))


@pytest.mark.parametrize(("field", "value"), [("side", -1), ("channels", 2)])
def test_impossible_sizes(field, value):
    config = data.default_config("folder")
    config[field] = value
    with pytest.raises(ValueError, match=rf"data.{field} .*{value}"):
        data.load(config)


def test_a_split_holds_volumes_and_they_need_not_be_cubes():
    volumes = np.zeros((2, 3, 4, 5, 1), np.uint8)
    split = data.Split.of_images(volumes, np.zeros(2, np.int32), ("a", "b"), maps=volumes[..., 0])
    assert split.side == 5 and split.modalities["image"].shape == (3, 4, 5, 1)
    lazy = data.LazySplit(split.read, split.labels, split.names, (3, 4, 5, 1))
    assert lazy.side == 5 and lazy.take(np.arange(2)).images.shape == volumes.shape
    with pytest.raises(ValueError, match="maps must be uint8"):
        data.Split.of_images(volumes, split.labels, split.names, maps=volumes[0, ..., 0])
