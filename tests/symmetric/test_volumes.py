"""A symmetric flow of volumes, trained on random crops: every verb on whole volumes."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.config import check_config, default_config
from msflow_jax.data import Info, Split, Splits
from msflow_jax.inference.flow import Flow
from msflow_jax.symmetric.codes import Code
from msflow_jax.symmetric.family import FAMILY
from msflow_jax.symmetric.parts import SymmetricParts
from msflow_jax.training import fit

SPACE = (4, 6, 6)


def make_splits():
    """Volumes whose class is their brightness, with the brighter half of their voxels as map."""
    rng = np.random.default_rng(0)

    def split(count):
        labels = np.arange(count, dtype=np.int32) % 2
        images = rng.normal(70 + 110 * labels[:, None, None, None, None], 20, (count, *SPACE, 1))
        images = np.clip(images, 0, 255).astype(np.uint8)
        maps = (images[..., 0] > 128).astype(np.uint8)
        return Split.of_images(images, labels, tuple(map(str, range(count))), maps)

    info = Info(
        "x", ("dark", "bright"), 1, 6, "binary-class", "", "", "", ("depth", "horizontal"),
        ("low", "high"), space=SPACE, counts=(8, 8),
    )  # fmt: skip
    return Splits(split(16), split(6), split(6), info)


def make_config(crop=4, task="classify"):
    config = default_config()
    config.data.dims, config.model.task, config.model.code.scheme = 3, task, "simplex"
    FAMILY.choose(config.unlock(), "model.net.name", "dit")  # compiles sooner than a UNet
    config.model.net.update(dict(width=16, patch=2, depth=1, head_channels=8))
    config.model.time.classification_fraction = 0.5
    config.train.update(steps=60, batch=8, learning_rate=0.02, ema=0.9, eval_every=60, crop=crop)
    config.train.select = {"classify": "val_auc", "segment": "val_dice"}[task]
    config.sample.batch = 4
    check_config(config)
    return config


def test_trained_on_crops_it_classifies_whole_volumes_and_draws_pieces(tmp_path):
    splits, config = make_splits(), make_config()
    parts = FAMILY.prepare(config, splits)
    model = FAMILY.build(config, splits.info, parts)
    assert model.window == model.space == (4, 4, 4)
    (stage,) = FAMILY.stages(config, splits, parts, model)
    state = fit(stage, tmp_path, progress=False)
    flow = Flow(Path("w"), config, splits.info, FAMILY, parts, model, state.ema, 60)
    found = flow.classify(splits.test.images, draws=1)
    assert found.distances.shape == (1, 6, 2) and (found.nfe == 4).all()  # windows of each volume
    assert found.prediction.tolist() == splits.test.labels.tolist()
    with pytest.warns(UserWarning, match=r"crops of 4 x 4 x 4.*not of 4 x 6 x 6"):
        drawn = flow.generate(["dark", "bright"], steps=2)
    assert drawn.shape == (2, 4, 4, 4, 1) and drawn[0].mean() < drawn[1].mean()


def test_a_flow_of_voxels_has_a_class_for_each():
    splits, config = make_splits(), make_config(crop=0, task="segment")
    model = FAMILY.build(config, splits.info, SymmetricParts())
    params = model.init(jax.random.key(0))
    floats = jax.ShapeDtypeStruct((2, *SPACE, 1), jnp.float32)
    maps = jax.ShapeDtypeStruct((2, *SPACE), jnp.int32)
    key = jax.random.key(0)
    assert jax.eval_shape(model.segment, params, floats, key).shape == (2, *SPACE, 2)
    assert jax.eval_shape(model.generate, params, maps, key).shape == floats.shape
    loss, _ = jax.eval_shape(model.loss, params, {"image": floats, "label": maps}, key)
    assert loss.shape == ()


def test_a_label_picture_of_a_volume_is_read_back():
    code, labels = Code("simplex", 3, pooling="pixels"), jnp.asarray([2, 0, 1])
    maps = np.random.default_rng(0).integers(0, 3, (2, 2, 3, 4))

    @jax.jit
    def there_and_back(key):
        pictures = code.pictures(labels, 2, 3, 4, key=key)
        of_maps = code.pictures(maps, 2, 3, 4, key=key)
        moved = code.reweight(pictures, jnp.ones(3))
        return pictures, moved, code.read(pictures), code.pixel_probabilities(of_maps)

    pictures, moved, (distances, probabilities, mode), voxels = there_and_back(jax.random.key(0))
    assert pictures.shape == (3, 2, 3, 4, 2)
    np.testing.assert_allclose(moved, pictures, atol=1e-5)
    for found in (distances.argmin(1), probabilities.argmax(1), mode):
        assert found.tolist() == labels.tolist()
    np.testing.assert_array_equal(voxels.argmax(-1), maps)


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("data.dims", 3, "data.dims=3 needs a model of pixels"),
        ("train.crop", 16, "train.crop=16 needs a model of pixels"),
    ],
)
def test_latents_are_of_whole_pictures(key, value, message):
    config = default_config()
    config.update_from_flattened_dict({"model.latent.autoencoder": "patches", key: value})
    with pytest.raises(ValueError, match=message):
        check_config(config)


def test_a_coupling_flow_sees_whole_images():
    config = default_config("coupling")
    config.train.crop = 16
    with pytest.raises(ValueError, match="train.crop=16: the family 'coupling' sees whole images"):
        check_config(config)
