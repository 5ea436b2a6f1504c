"""All modalities in the latents of one autoencoder, which a workdir keeps and no stage trains."""

import chex
import jax
import numpy as np
import pytest

from msflow_jax.latent import kept
from msflow_jax.latent.codec import KEY
from msflow_jax.synergy.family import FAMILY
from msflow_jax.synergy.parts import load, prepare
from msflow_jax.training.stage import split
from tests.synergy import tiny

pytest.importorskip("tokenizers")
SIDE = 16
SETTINGS = dict(patch=4, channels=5)


def config(text):
    found = tiny.config(stages=("understand", "generate"), patch=1)
    found.model.latent.update(autoencoder=text, **SETTINGS)
    return found


@pytest.fixture(scope="module")
def made():
    chosen = config("patches")
    FAMILY.check(chosen)
    parts = prepare(chosen, tiny.splits(SIDE))
    return chosen, parts, FAMILY.build(chosen, tiny.splits(SIDE).info, parts)


def test_one_spread_for_all_modalities(made):
    _, parts, model = made
    assert model.codec.inner == (4, 4, 5) and all(one.latent for one in model.modalities.values())
    images = np.concatenate([tiny.splits(SIDE).train.arrays[name] for name in model.modalities])
    z = np.asarray(model.codec.encode(parts.params[KEY], images / 127.5 - 1))
    np.testing.assert_allclose(z.mean(axis=(0, 1, 2)), 0, atol=0.5)
    np.testing.assert_allclose(z.std(axis=(0, 1, 2)), 1, atol=0.5)


def test_drawing_in_latents(made):
    _, parts, model = made
    fresh = jax.tree.map(lambda leaf: leaf + 0.05, model.init(jax.random.key(0)))
    params = {**fresh, **parts.params}
    x = tiny.images(side=SIDE)
    draw = jax.jit(
        lambda x: model.translate(params, {"t1w": x}, jax.random.key(1), target="ct", steps=2)
    )
    drawn = draw(x)
    chex.assert_shape(drawn, x.shape)
    assert np.abs(drawn).max() <= 1
    assert np.abs(draw(-x) - drawn).max() > 1e-4


def test_losses_see_latents_and_leave_the_autoencoder(made):
    chosen, parts, model = made
    tree = dict(parts.params)
    for stage in FAMILY.stages(chosen, tiny.splits(SIDE), parts, model):
        tree = stage.start(tree)
        trained, frozen = split(tree, stage.trains)
        assert KEY in frozen and KEY not in trained
        found = stage.validate.measure(tree)["val_loss"]
        assert np.isfinite(found)
    # The loss of drawing is of latents: other ones give another.
    other = {**tree, KEY: jax.tree.map(lambda leaf: 1.5 * leaf, tree[KEY])}
    assert abs(stage.validate.measure(other)["val_loss"] - found) > 1e-4


def test_a_workdir_keeps_it(made, tmp_path):
    chosen, parts, _ = made
    parts.save(tmp_path)
    again = load(chosen, tiny.splits(SIDE).info, tmp_path)
    assert again.latents.facts() == parts.latents.facts()
    chex.assert_trees_all_equal(again.params, parts.params)


@pytest.mark.parametrize(
    "text, says",
    [("nowhere", "nowhere"), ("folder", "3 times smaller, which does not divide images of 16")],
)
def test_refused(text, says, tmp_path):
    if text == "folder":
        images = np.random.default_rng(0).integers(0, 256, (60, 9, 9, 3)).astype(np.uint8)
        kept.fit(images, 9, 3, 5).save(tmp_path / "a")
        text = str(tmp_path / "a")
    with pytest.raises((ValueError, FileNotFoundError), match=says):
        prepare(config(text), tiny.splits(SIDE))


def test_volumes_stay_in_pixels():
    chosen = config("patches")
    chosen.data.dims = 3
    with pytest.raises(ValueError, match="data.dims=3"):
        FAMILY.check(chosen)
