"""Fine-tuning an autoencoder: the loss and its parts, a run and the folder it leaves."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.data import default_config, load
from msflow_jax.data.batches import to_float
from msflow_jax.evaluation.paired import psnr
from msflow_jax.latent import autoencoder, finetuning, reconstruction
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.latent.finetuning import FineTuning, divergence, training_config
from msflow_jax.latent.kept import Kept
from msflow_jax.nets.init import init_params
from msflow_jax.nets.tiny import TinyAutoencoder
from msflow_jax.nets.vae import AutoencoderKL
from msflow_jax.training import Stage, merge, read_params, run_stages, split
from msflow_jax.training.source import Source

NETS = {
    "kl": AutoencoderKL(latent=2, widths=(8, 8), blocks=1, groups=4),
    "tiny": TinyAutoencoder(width=8),
}


def make_model(kind, side=16, **settings):
    net = NETS[kind]
    shape = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
    params = init_params(net, jax.random.key(0), shape)
    return FineTuning(Autoencoder(net, 0.5, 0.1), params, side, **settings)


def make_measure(model, batch):
    return reconstruction.make_measure(model.autoencoder, model.side, batch)


@pytest.fixture(scope="module")
def splits():
    config = default_config("phantoms")
    config.phantoms.update({"subjects": 12, "slices": 1})
    return load(config)


@pytest.fixture(scope="module")
def classifier(splits):
    return finetuning.train_classifier(splits.train, len(splits.info.classes), 16, seed=0, steps=2)


@pytest.fixture(scope="module")
def batch(splits):
    return {"image": to_float(jnp.asarray(splits.train.images[:4]))}


@pytest.mark.parametrize("kind", NETS)
def test_the_loss_is_the_weighted_sum_of_its_parts(kind, classifier, batch):
    model = make_model(kind, perceptual=0.3, kl=2.0, classifier=classifier)
    evaluate = jax.jit(partial(model.loss, train=True))
    loss, parts = evaluate(model.pretrained, batch, jax.random.key(1))
    assert set(parts) == {"l1", "perceptual"} | ({"kl"} if kind == "kl" else set())
    expected = parts["l1"] + 0.3 * parts["perceptual"] + 2.0 * parts.get("kl", 0.0)
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert parts["perceptual"] > 0 and parts["l1"] > 0


def test_only_training_draws_from_a_posterior_and_only_if_there_is_one(batch):
    for kind, train, differs in (("kl", True, True), ("kl", False, False), ("tiny", True, False)):
        model = make_model(kind, perceptual=0.0)
        evaluate = jax.jit(partial(model.loss, train=train))
        losses = [evaluate(model.pretrained, batch, jax.random.key(i))[0] for i in (0, 1)]
        assert (losses[0] != losses[1]) == differs


def test_divergence_of_the_unscaled_posterior():
    """Mean 1.5 and variance 4: 0.5 (2.25 + 4 - 1 - log 4) nats each, 2 latents for 2 x 2 x 3 values."""
    auto = Autoencoder(NETS["kl"], 0.5, 0.1)
    mean, deviation = jnp.full((2, 4, 4, 2), 0.5 * (1.5 - 0.1)), jnp.full((2, 4, 4, 2), 0.5 * 2)
    expected = 0.5 * (1.5**2 + 4 - 1 - np.log(4)) * 2 / 12
    assert divergence(auto, mean, deviation) == pytest.approx(expected, rel=1e-5)


def test_the_encoder_is_frozen_with_its_last_layer(batch):
    """Not trained by the divergence either, which needs the encoder alone; all else has a gradient."""
    model = make_model("kl", kl=1.0, perceptual=0.0, freeze_encoder=True)
    trained, frozen = split(model.pretrained, model.trains)
    assert set(trained) == {"decoder", "post_quant_conv"} and set(frozen) == {
        "encoder",
        "quant_conv",
    }

    def loss(trained):
        return model.loss(merge(trained, frozen), batch, jax.random.key(0), train=True)

    grads, parts = jax.jit(jax.grad(loss, has_aux=True))(trained)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(grads))
    assert set(parts) == {"l1"}


def test_feature_maps_of_equal_images_do_not_differ(classifier, batch):
    images = finetuning.resize(batch["image"], 16)
    distance = jax.jit(partial(finetuning.feature_distance, classifier))
    assert distance(images, images) == 0
    blurred = finetuning.resize(finetuning.resize(images, 4), 16)
    near = distance(images, 0.9 * images + 0.1 * blurred)
    assert 0 < near < distance(images, blurred)


def run(model, splits, folder, measure):
    config = training_config(steps=12, batch=8, learning_rate=5e-3, seed=0)
    config.update({"log_every": 1, "eval_every": 12, "writers": ()})
    validate = reconstruction.make_validation(measure, splits.val.images)
    source = Source.of_arrays({"image": splits.train.images, "label": splits.train.labels})
    stage = Stage(
        "", model.loss, source, config, lambda tree: tree, trains=model.trains, validate=validate
    )
    run_stages([stage], folder, progress=False, params=model.pretrained)
    return read_params(folder, config.select, params=model.pretrained)[1]


@pytest.mark.parametrize("kind, frozen", [("tiny", True), ("kl", False)])
def test_a_run_reconstructs_better_and_its_folder_gives_the_same(
    kind, frozen, classifier, splits, tmp_path
):
    model = make_model(kind, classifier=classifier, freeze_encoder=frozen)
    start = jax.tree.map(np.array, model.pretrained)
    measure = make_measure(model, 8)
    params = run(model, splits, tmp_path / "run", measure)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == 12 and np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    assert {"val_psnr", "val_ssim", "val_latent_std"} <= set().union(*rows)
    jax.tree.map(np.testing.assert_array_equal, start, model.pretrained)

    images = splits.val.images
    before, after = measure(model.pretrained, images), measure(params, images)
    assert after["psnr"] > before["psnr"] + 0.5
    same = [
        np.array_equal(a, b)
        for a, b in zip(
            jax.tree.leaves(start["encoder"]), jax.tree.leaves(params["encoder"]), strict=True
        )
    ]
    assert all(same) if frozen else not any(same)
    assert (after["latent_std"] == before["latent_std"]) == frozen
    then, now = (Kept(model.autoencoder, weights) for weights in (start, params))
    assert then.digest != now.digest and (then.latents_digest == now.latents_digest) == frozen

    autoencoder.save(tmp_path / "new", model.autoencoder, params, {"after": after})
    again, loaded = autoencoder.load(tmp_path / "new")
    assert again == model.autoencoder
    jax.tree.map(np.testing.assert_array_equal, params, loaded)


def test_measuring_does_not_depend_on_the_batch(splits):
    model = make_model("kl")
    images = splits.train.images[:7]
    a, b = (make_measure(model, n)(model.pretrained, images) for n in (4, 7))
    assert a == pytest.approx(b, rel=1e-4)
    decoded = reconstruction.make_reconstruction(model.autoencoder, model.side, 4)(
        model.pretrained, images
    )
    assert decoded.shape == (7, 16, 16, 1) and decoded.dtype == np.uint8
    originals = to_float(jnp.asarray(reconstruction.resized(images, 16)))
    assert psnr(to_float(jnp.asarray(decoded)), originals).mean() == pytest.approx(
        a["psnr"], abs=0.05
    )


def test_blank_images_count_for_no_quality(splits):
    """Air comes back as air, at up to 100 dB."""
    model = make_model("kl")
    measure = make_measure(model, 4)
    images, air = splits.train.images[:3], np.zeros((5, *splits.train.images.shape[1:]), np.uint8)
    alone = measure(model.pretrained, images)
    joined = measure(model.pretrained, np.concatenate([air + 12, images]))
    assert reconstruction.not_blank(np.concatenate([air + 12, images])).sum() == 3
    for name in ("psnr", "ssim"):
        assert joined[name] == pytest.approx(alone[name], rel=1e-6)
    assert np.isfinite(measure(model.pretrained, air)["psnr"])  # a training goes on


def test_parameters_that_are_not_finite(splits):
    model = make_model("tiny")
    broken = jax.tree.map(lambda a: a * np.nan, model.pretrained)
    with pytest.raises(FloatingPointError, match="not finite"):
        make_measure(model, 4)(broken, splits.val.images)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"side": 12}, "side 12 .* multiple of 8, at least 11, .* --side=16"),
        ({"side": 8}, "--side=16"),
        ({"perceptual": -0.1}, "weight perceptual .* from 0 on, got -0.1"),
        ({"kl": float("nan")}, "weight kl .* got nan"),
    ],
)
def test_numbers_that_do_not_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        make_model("tiny", **settings)


def test_an_encoder_that_is_no_part_of_its_own_cannot_be_frozen():
    model = make_model("tiny")
    shared = {"basis": jnp.zeros(3)}
    with pytest.raises(ValueError, match="shares its parameters .* leave out --freeze-encoder"):
        FineTuning(model.autoencoder, shared, 16, freeze_encoder=True)


def test_feature_maps_need_a_classifier(batch):
    model = make_model("tiny")
    with pytest.raises(ValueError, match="needs a classifier"):
        model.loss(model.pretrained, batch, jax.random.key(0), train=True)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch": -1}, "batch must be at least 1, got -1"),
        ({"seed": -1}, r"train.seed must lie in \[0, "),
        ({"learning_rate": 0.0}, "train.learning_rate must be a positive number, got 0.0"),
    ],
)
def test_a_run_that_cannot_be(change, message):
    numbers = {"steps": 1, "batch": 1, "learning_rate": 1e-4, "seed": 0}
    with pytest.raises(ValueError, match=message):
        training_config(**(numbers | change))
