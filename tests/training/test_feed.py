"""Batches by kind: from the device and from the host alike, one set or several, whole or with gaps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.data import Split
from msflow_jax.data.modality import Modality
from msflow_jax.data.order import batch_indices, set_seed
from msflow_jax.parallel.sharding import make_mesh
from msflow_jax.training import fit
from msflow_jax.training.feed import Source, Stream, open_batches
from msflow_jax.training.source import count_examples, source_of
from tests.training import tiny_training

RNG = np.random.default_rng(0)
COUNT = 20


@pytest.fixture
def config():
    config = tiny_training.make_config()
    config.update({"batch": 8, "shift": 1, "seed": 3})
    return config


def make_split(**settings):
    """Volumes, their maps, latents of another size, a text and a class; the text is missing at times."""
    volumes = RNG.integers(0, 256, (COUNT, 3, 4, 5, 1), dtype=np.uint8)
    arrays = {
        "ct": volumes,
        "organs": volumes[..., 0],
        "report": RNG.integers(1, 9, (COUNT, 6), dtype=np.int32),
        "label": RNG.integers(0, 3, COUNT, dtype=np.int32),
    }
    kinds = {"ct": "image", "organs": "map", "report": "tokens"}
    present = {"report": RNG.random(COUNT) < 0.5}
    names = tuple(map(str, range(COUNT)))
    return Split(arrays, names, kinds=kinds, present=present, **settings)


def batches_of(source, config, count=2, start=0):
    """The batches of some steps, as a loss sees them, and what ``take`` says of the examples."""
    with open_batches(source, config, make_mesh(), start, 10) as batches:
        plan, told = batches.take(start, count)
        make = jax.jit(batches.batch)
        steps = [jax.tree.map(lambda a, i=i: a[i], plan) for i in range(count)]
        return [jax.device_get(make(batches.data, step)) for step in steps], told


def test_host_and_device_give_the_same_batches(config):
    pytest.importorskip("grain")
    split = make_split()
    arrays = {"target": "ct", "map": "organs", "report": "report", "label": "label"}
    flips = ("depth", "vertical")
    config.balanced = True
    device = source_of(split, "device", 0, flips, arrays)
    host = source_of(split, "grain", 0, flips, arrays)
    assert isinstance(device, Source) and isinstance(host, Stream)
    assert device.modalities == host.modalities and len(host) == count_examples(device) == COUNT
    (first, told), (second, again) = batches_of(device, config), batches_of(host, config)
    np.testing.assert_array_equal(told, again)
    for a, b, index in zip(first, second, told, strict=True):
        assert jax.tree.structure(a) == jax.tree.structure(b)
        jax.tree.map(np.testing.assert_array_equal, a, b)
        assert a["target"].dtype == np.float32 and a["target"].shape == (8, 3, 4, 5, 1)
        grey = np.rint((a["target"] + 1) * 127.5).astype(int)
        np.testing.assert_array_equal(a["map"], grey[..., 0])
        has = split.present["report"][index]
        np.testing.assert_array_equal(a["present"]["report"], has)
        expected = np.where(has[:, None], split.arrays["report"][index], 0)
        np.testing.assert_array_equal(a["report"], expected)
        np.testing.assert_array_equal(a["label"], split.labels[index])
    assert (first[0]["target"] != first[1]["target"]).any()


def test_latents_from_host_and_device(config):
    pytest.importorskip("grain")
    latents = RNG.normal(size=(COUNT, 2, 4, 4, 3)).astype(np.float16)
    split = Split({"x": latents}, tuple(map(str, range(COUNT))), kinds={"x": "latent"})
    arrays = {"image": "x"}
    (first, _), (second, _) = (
        batches_of(source_of(split, loader, 0, ("horizontal",), arrays), config)
        for loader in ("device", "grain")
    )
    jax.tree.map(np.testing.assert_array_equal, first, second)
    assert first[0]["image"].shape == (8, 4, 4, 3) and first[0]["image"].dtype == np.float32


def test_several_sets_give_a_batch_each_by_seed_and_name(config):
    split = make_split()
    one = source_of(split, "device", 0, (), {"image": "ct", "label": "label"})
    text = Source.of_arrays({"report": split.arrays["report"][:15]}, {"report": "tokens"})
    found, told = batches_of({"ct": one, "text": text}, config)
    assert set(found[0]) == {"ct", "text"} and set(found[0]["ct"]) == {"image", "label"}
    for name, size in (("ct", COUNT), ("text", 15)):
        index = batch_indices(set_seed(config.seed, name), 0, 2, size, 8)
        which = "label" if name == "ct" else "report"
        for step in range(2):
            expected = {"ct": one, "text": text}[name].arrays[which][index[step]]
            np.testing.assert_array_equal(found[step][name][which], expected)
        assert told[0][0 if name == "ct" else 1] == f"{name} {index[0][0]}"
    assert told.shape == (2, 16) and count_examples({"ct": one, "text": text}) == COUNT
    alone, _ = batches_of({"text": text}, config)
    jax.tree.map(np.testing.assert_array_equal, alone[0]["text"], found[0]["text"])


class Both:
    """A loss over two sets."""

    def init(self, key):
        return {"weight": jnp.ones(())}

    def loss(self, params, batch, key, *, train):
        text = jnp.where(batch["text"]["present"]["report"][:, None], batch["text"]["report"], 0)
        return params["weight"] ** 2 * batch["ct"]["image"].mean() + 0.0 * text.sum(), {}


def test_a_model_trains_on_several_sets_in_parts(config, tmp_path):
    split = make_split()
    sets = {
        "ct": source_of(split, "device", 0, ("depth",), {"image": "ct"}),
        "text": source_of(split, "device", 0, (), {"report": "report"}),
    }
    config.update({"steps": 2, "accumulate": 2})
    state = fit(tiny_training.make_stage(Both(), sets, config), tmp_path, progress=False)
    assert state.step == 2 and np.isfinite(state.params["weight"])


@pytest.mark.parametrize("kinds", [{"label": "map"}, {"class": "label"}])
def test_balanced_needs_a_class_an_example(kinds, config):
    config.balanced = True
    shape = (4, 8, 8) if kinds.get("label") == "map" else (4,)
    dtype = np.uint8 if len(shape) > 1 else np.int32
    arrays = {"image": np.zeros((4, 8, 8, 1), np.uint8), next(iter(kinds)): np.zeros(shape, dtype)}
    source = Source.of_arrays(arrays, kinds)
    for given in (source, {"set": source}):
        with (
            pytest.raises(ValueError, match="train.balanced needs one class per image"),
            open_batches(given, config, make_mesh(), 0, 1),
        ):
            pass


def test_sources_that_do_not_fit_are_refused():
    images = np.zeros((4, 8, 8, 1), np.uint8)
    with pytest.raises(ValueError, match="a modality for each array: arrays image, modalities ct"):
        Source({"image": images}, {"ct": Modality("image", (8, 8, 1))})
    with pytest.raises(ValueError, match=r"image must be .*got uint8 \[4, 8, 8, 1\]"):
        Source({"image": images}, {"image": Modality("image", (8, 8, 3))})
    with pytest.raises(ValueError, match="4 examples, but 3 entries of label"):
        Source.of_arrays({"image": images, "label": np.zeros(3, np.int32)})
    split = Split.of_images(images, np.zeros(4, np.int32), tuple("abcd"))
    for loader in ("device", "grain"):
        with pytest.raises(ValueError, match="this split has no map; it has image, label"):
            source_of(split, loader, 0, (), {"label": "map"})
    with pytest.raises(ValueError, match="training split is empty: ct"):
        count_examples({"ct": Source.of_arrays({"image": images[:0]})})
    with pytest.raises(ValueError, match="at least one source"):
        count_examples({})
