"""Modalities in latents: which autoencoder each has, what is cached, what the workdir keeps."""

import functools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.data.batches import to_float
from msflow_jax.diffusers import encoded
from msflow_jax.diffusers.curriculum import stages
from msflow_jax.diffusers.family import FAMILY
from msflow_jax.diffusers.objectives import carried
from msflow_jax.diffusers.parts import load, prepare
from msflow_jax.evaluation.paired import psnr, ssim
from msflow_jax.latent import kept
from msflow_jax.paired import latents
from tests.diffusers import tiny

pytest.importorskip("tokenizers")
SIDE = 16
SETTINGS = dict(patch=4, channels=5)


def config(text, **more):
    found = tiny.config()
    with found.unlocked():
        found.model.latent.update(autoencoder=text, **SETTINGS, **more)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An autoencoder of colour images, which grey ones are repeated for."""
    place = tmp_path_factory.mktemp("autoencoder") / "rgb"
    images = np.random.default_rng(0).integers(0, 256, (60, SIDE, SIDE, 3)).astype(np.uint8)
    kept.fit(images, SIDE, 4, 5).save(place)
    return place


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    """X-ray and CT by the folder, T1 by patches of its own: splits, configuration, parts, model."""
    data = tiny.splits(SIDE)
    place = tmp_path_factory.mktemp("cache")
    chosen = config(f"xray={folder},ct={folder},t1w=patches", cache=str(place))
    FAMILY.check(chosen)
    parts = prepare(chosen.model, data)
    return data, chosen, parts, FAMILY.build(chosen, data.info, parts)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", {}),
        ("patches", dict.fromkeys(("xray", "ct", "t1w"), "patches")),
        ("ct=/a/b=c, t1w=patches", {"ct": "/a/b=c", "t1w": "patches"}),
    ],
)
def test_one_for_all_or_for_each(text, expected):
    assert latents.parse_autoencoders(config(text).model) == expected


@pytest.mark.parametrize("text", ["pet=a", "ct=a,ct=b", "ct=", "report=a", "ct=a,b", "/a=b/c"])
def test_what_is_no_modality_is_named(text):
    with pytest.raises(ValueError, match="is no image modality, or is named twice .* xray=FOLDER"):
        FAMILY.check(config(text))


def test_volumes_are_drawn_in_pixels():
    chosen = config("patches")
    chosen.data.dims = 3
    with pytest.raises(ValueError, match="data.dims=3 needs a model of pixels"):
        FAMILY.check(chosen)


def test_what_the_autoencoder_keeps_is_said(made, capsys):
    data, _, parts, model = made
    only = config("t1w=patches").model
    found = latents.prepare(only, data)["t1w"]
    said = capsys.readouterr().out
    words = f"the autoencoder alone reaches PSNR {found.quality['psnr']:.1f} dB"
    assert f"t1w: latents of 4 x 4 x 5; {words}" in said
    assert found.facts() == parts.latents["t1w"].facts()
    assert model.modalities["t1w"].inner == (4, 4, 5) and model.modalities["t1w"].latent
    assert model.modalities["t1w"].diffuser.patch == 1


@pytest.mark.parametrize(
    "blank, words",
    [(0, "on {} images: what"), (3, "on {} images (3 blank ones left out)"), (None, "")],
)
def test_what_it_keeps_is_of_images_that_show_something(capsys, blank, words):
    data, only = tiny.splits(SIDE), config("t1w=patches").model
    images = data.val.arrays["t1w"]
    rows = np.flatnonzero(data.val.present["t1w"])[:blank]
    images[rows] = 0
    found = latents.prepare(only, data)["t1w"].quality
    seen = int(data.val.present["t1w"].sum()) - len(rows)
    assert found["images"] == seen
    said = capsys.readouterr().out
    assert (words.format(seen) if words else "is not measured: all 4 images are blank") in said
    assert ("reaches PSNR" in said) == bool(seen) and np.isfinite(found["psnr"])


@pytest.mark.parametrize("resize", [32, 8])
def test_what_it_keeps_is_of_images_at_their_own_side(made, resize):
    """As an evaluation measures what is drawn, not at the side at which they are encoded."""
    data, only = made[0], config("t1w=patches").model
    only.resize = resize
    one = latents.prepare(only, data)["t1w"]
    images = data.val.arrays["t1w"][data.val.present["t1w"]]
    codec, floats = one.codec(images.shape[1:], resize), to_float(jnp.asarray(images))
    drawn = codec.decode(one.kept.weights, codec.encode(one.kept.weights, floats))
    expected = {"psnr": psnr(drawn, floats).mean(), "ssim": ssim(drawn, floats).mean()}
    for name, value in expected.items():
        np.testing.assert_allclose(one.quality[name], value, rtol=1e-3)


def test_every_channel_has_unit_spread(made):
    data, _, parts, model = made
    for name in ("ct", "t1w"):
        images = data.train.arrays[name][data.train.present[name]]
        encode = jax.jit(functools.partial(model.encode, parts.params, name))
        z = encode((images / 127.5 - 1).astype(np.float32))
        np.testing.assert_allclose(np.mean(z, axis=(0, 1, 2)), 0, atol=1e-4)
        np.testing.assert_allclose(np.std(z, axis=(0, 1, 2)), 1, rtol=1e-3)


def test_the_workdir_needs_the_folder_no_more(made, folder, tmp_path):
    _, chosen, parts, _ = made
    parts.save(tmp_path)
    names = sorted(path.name for path in (tmp_path / "autoencoders").iterdir())
    assert names == ["t1w", "xray"]  # CT has that of the X-ray
    moved = config(chosen.model.latent.autoencoder.replace(str(folder), "/nowhere"))
    again = load(moved.model, tmp_path)
    assert again.latents["ct"].kept is again.latents["xray"].kept
    assert {n: one.facts() for n, one in again.latents.items()} == {
        n: one.facts() for n, one in parts.latents.items()
    }
    for a, b in zip(jax.tree.leaves(again.params), jax.tree.leaves(parts.params), strict=True):
        np.testing.assert_array_equal(a, b)
    file = tmp_path / "latents.json"
    text = file.read_text()
    file.write_text(text.replace('"std"', '"spread"'))
    with pytest.raises(ValueError, match="latents.json is damaged .* restore it from a copy"):
        load(moved.model, tmp_path)
    file.write_text(text)
    shutil.rmtree(tmp_path / "autoencoders" / "t1w")
    with pytest.raises(FileNotFoundError, match="no autoencoder in .*t1w"):
        load(moved.model, tmp_path)


def test_stages_read_latents_that_were_encoded_once(made, monkeypatch):
    data, chosen, parts, model = made
    # Two slices with one X-ray: it is encoded once.
    train = data.train
    train.arrays["xray"][3] = train.arrays["xray"][0]
    seen = []
    make = encoded.make_encoder

    def counting(*given):
        run = make(*given)
        return lambda weights, images: seen.append(len(images)) or run(weights, images)

    monkeypatch.setattr(encoded, "make_encoder", counting)
    every = stages(chosen, data, parts.tokeniser, model, parts.latents)
    present = sum(int(train.present[name].sum()) for name in ("xray", "ct", "t1w"))
    assert sum(seen) == present - 1 + sum(int(has.sum()) for has in data.val.present.values())
    seen.clear()
    again = stages(chosen, data, parts.tokeniser, model, parts.latents)
    assert not seen and [one.name for one in again] == [one.name for one in every]
    source = next(one for one in every if one.name == "link-t1w-ct").source
    assert source.modalities["ct/image"].kind == "latent" and "ct/deviation" not in source.arrays
    images = {n: (source.arrays[n] / 127.5 - 1).astype(np.float32) for n in ("ct", "t1w")}
    stored = {n: source.arrays[n][:, 0].astype(np.float32) for n in ("ct/image", "t1w/image")}
    batch = images | stored
    for name, x in images.items():
        whole = jax.jit(functools.partial(model.encode, parts.params, name))(x)
        # No parameters of the autoencoder: they are in no stage.
        found = carried(model, {}, name, batch, jax.random.key(0))
        np.testing.assert_allclose(found, whole, atol=5e-3)
        # A fresh sample of the posterior where there is one; in validation its mean.
        given = batch | {f"{name}/deviation": np.full(whole.shape, 0.5, np.float32)}
        np.testing.assert_array_equal(carried(model, {}, name, given, None), found)
        drawn = carried(model, {}, name, given, jax.random.key(0)) - found
        spread = 0.5 / np.array(parts.latents[name].std)
        np.testing.assert_allclose(np.std(drawn, axis=(0, 1, 2)), spread, rtol=0.3)


def test_a_patch_that_latents_are_too_small_for_is_named(made):
    data, chosen, parts, model = made
    with pytest.warns(
        UserWarning, match="model.latent.net_patch=2 .* xray, ct, t1w: a side of 4 lat"
    ):
        stages(chosen, data, parts.tokeniser, model, parts.latents)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(autoencoder="patches", patch=5), "does not divide images of 16: set model.resize"),
        (dict(autoencoder="nowhere"), "no autoencoder in nowhere"),
        (dict(autoencoder="patches", channels=17), "has 16 components, 17 were requested"),
    ],
)
def test_settings_that_do_not_fit(change, message):
    chosen = config("")
    chosen.model.latent.update(change)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        latents.prepare(chosen.model, tiny.splits(SIDE))


def test_colours_do_not_fit_an_autoencoder_of_grey_images(tmp_path):
    data = tiny.splits(SIDE)
    grey = np.zeros((8, SIDE, SIDE, 1), np.uint8) + np.arange(16, dtype=np.uint8).reshape(
        1, 1, 16, 1
    )
    kept.fit(grey, SIDE, 4, 2).save(tmp_path / "grey")
    data.train.arrays["ct"] = np.repeat(data.train.arrays["ct"], 3, axis=-1)
    with pytest.raises(ValueError, match="ct: the autoencoder is for images of 1 channels"):
        latents.prepare(config(f"ct={tmp_path / 'grey'}").model, data)
