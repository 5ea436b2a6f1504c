"""Training on data that are read meanwhile: the same run as from the device, however it is read."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.data.streaming import Batches, Stream, read_ahead
from msflow_jax.training import fit
from msflow_jax.training.records import read_records
from tests.training import tiny_training
from tests.training.tiny_training import assert_equal

pytest.importorskip("grain")


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """The training images of `tiny_training` as files; the other splits have some as well."""
    folder = tmp_path_factory.mktemp("images")
    arrays = tiny_training.make_arrays()
    lines = ["path,label,split"]
    for i, (image, label) in enumerate(zip(arrays["image"], arrays["label"], strict=True)):
        Image.fromarray(image[..., 0]).save(folder / f"{i:02d}.png")
        lines.append(f"{i:02d}.png,{label},train")
    for name in ("val", "test"):
        Image.fromarray(255 - arrays["image"][len(name), ..., 0]).save(folder / f"{name}.png")
        lines.append(f"{name}.png,{arrays['label'][0]},{name}")
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    config = data.default_config("manifest")
    config.update({"root": str(folder / "list.csv"), "loader": "grain"})
    train = data.load(config).train
    assert isinstance(train, data.LazySplit) and len(train) == 40
    return train


def train(split, workdir, workers=0, validate=None, **changes):
    config = tiny_training.make_config()
    config.update(changes)
    stream = Stream(split, workers, tiny_training.FLIPS)
    stage = tiny_training.make_stage(tiny_training.make_flow(), stream, config, validate=validate)
    return fit(stage, workdir, progress=False)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_same_run_as_from_the_device(split, workers, undisturbed, tmp_path):
    assert_equal(train(split, tmp_path, workers), undisturbed[0])
    rows = [r for r in read_records(tmp_path) if "data_wait" in r]
    assert rows and all(0 <= r["data_wait"] <= 1 for r in rows)


def test_a_resumed_run_is_the_same_with_other_workers(split, undisturbed, tmp_path):
    def validate(params):
        calls.append(params)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return {"val_auc": 0.5}

    calls = []
    with pytest.raises(KeyboardInterrupt):
        train(split, tmp_path, 1, validate)
    assert_equal(train(split, tmp_path, 0, validate), undisturbed[0])


def test_several_steps_a_dispatch(split, undisturbed, tmp_path):
    state = train(split, tmp_path, steps_per_dispatch=2, log_every=4)
    tiny_training.assert_close(state.params, undisturbed[0].params)


@pytest.mark.parametrize("workers", [0, 2])
def test_processes_read_their_rows_only(split, workers):
    stream = Stream(split)
    whole = Batches(stream, 5, 8, (0, 8), seed=1, flips=("vertical",), shift=1)
    halves = [Batches(stream, 5, 8, part, 1, ("vertical",), 1) for part in ((0, 4), (4, 8))]
    with read_ahead(whole, 2, workers) as expected:
        for step, batch in enumerate(expected, 2):
            parts = [half[step] for half in halves]
            for name, value in batch.items():
                np.testing.assert_array_equal(value, np.concatenate([p[name] for p in parts]))
    assert step == 4


def test_maps_move_with_their_images():
    maps = np.random.default_rng(0).integers(0, 3, (6, 5, 5), dtype=np.uint8)
    images, names = maps[..., None], tuple("abcdef")
    split = data.Split.of_images(images, np.zeros(6, np.int32), names, maps)
    stream = Stream(split, arrays={"image": "image", "label": "map"})
    batch = Batches(stream, 1, 6, (0, 6), 0, ("horizontal", "vertical"), 2)[0]
    np.testing.assert_array_equal(batch["image"][..., 0], batch["label"])
    assert (batch["label"] != maps[batch["index"]]).any()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_named(split, workers, tmp_path):
    broken, items = tmp_path / "broken.png", list(split.read.items)
    broken.write_bytes(b"no image")
    items[7] = dataclasses.replace(items[7], paths=(broken,))
    reader = dataclasses.replace(split.read, items=tuple(items))
    broken = data.LazySplit(reader, split.labels, split.names, split.shape)
    with pytest.raises(ValueError, match=r"broken\.png is not an image"):
        train(broken, tmp_path / "run", workers)


def test_without_grain(split, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "grain", None)
    with (
        pytest.raises(ImportError, match=r"pip install 'msflow_jax\[grain\]'"),
        read_ahead(Batches(Stream(split), 1, 2, (0, 2), 0)),
    ):
        pass
