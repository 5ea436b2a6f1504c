"""A run that starts from another: what was fitted to other data is named, with the way to take it."""

import dataclasses
import re
import warnings

import numpy as np
import pytest

from msflow_jax.commands.train import main
from msflow_jax.config import default_config
from msflow_jax.data import Info, Split, Splits
from msflow_jax.families import get_family
from msflow_jax.paired.latents import parse_autoencoders
from msflow_jax.training import continuing
from tests.diffusers import tiny as diffusers
from tests.paired.tiny import split as paired
from tests.synergy import tiny as synergy
from tests.synergy.cohorts import cohort

LATENT = dict(autoencoder="patches", patch=4, channels=5)


def pictures(seed):
    """A bright square somewhere, of a family of one kind of image."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 40, (16, 8, 8, 1), np.uint8)
    images[:, seed : seed + 4, 2:6] += 200
    info = Info("x", ("a", "b"), 1, 8, "binary-class", "", "", "", ())
    one = Split.of_images(images, np.arange(16, dtype=np.int32) % 2, [f"{i}" for i in range(16)])
    return Splits(one, one, one, info)


def made(family):
    """A configuration, and data by seed."""
    if family == "symmetric":
        config = default_config(family)
        config.model.code.scheme = "grey"
        config.model.latent.update(LATENT)
        return config, pictures
    if family == "coupling":
        config = default_config(family)
        config.model.layout = "foreground:1"
        return config, pictures
    if family == "synergy":
        pytest.importorskip("tokenizers")
        config, data = synergy.config(), synergy.splits(16)
        config.model.latent.update(LATENT)
        return config, lambda seed: dataclasses.replace(
            data, train=cohort(3, side=16, seed=5 + seed)
        )
    pytest.importorskip("tokenizers")
    config, data = diffusers.config(), diffusers.splits(16)
    config.model.latent.update({**LATENT, "autoencoder": "t1w=patches,ct=patches"})

    def of(seed):
        train = paired(24, seed=5 + seed, side=16)
        said = [f"{text} {'x' * seed}".strip() if text else "" for text in train.truth["report"]]
        texts = {"report": np.array(said, object)}
        return dataclasses.replace(data, train=dataclasses.replace(train, truth=texts))

    return config, of


REMEDIES = {
    "symmetric": {"latent.autoencoder": "{0}/autoencoder"},
    "coupling": {"foreground": "{0}/mask.png"},
    "synergy": {"latent.autoencoder": "{0}/autoencoders/images"},
    "diffusers": {
        "latent.autoencoder": "t1w={0}/autoencoders/t1w,ct={0}/autoencoders/ct",
        "tokeniser": "{0}/tokeniser.json",
    },
}


@pytest.mark.parametrize("name", REMEDIES)
def test_parts_fitted_to_other_data_are_named_with_their_remedy(name, tmp_path, recwarn):
    family, (config, data) = get_family(name), made(name)
    first = data(0)
    family.prepare(config, first).save(tmp_path)
    there = family.load(config, first.info, tmp_path)

    def said(config, parts, before=config):
        recwarn.clear()
        continuing.warn_of_others(tmp_path, before, config, there, parts)
        return [str(one.message) for one in recwarn]

    assert said(config, family.prepare(config, first)) == []
    lines, remedies = said(config, family.prepare(config, data(2))), REMEDIES[name]
    assert len(lines) == len(remedies)
    changed = config.copy_and_resolve_references()
    for line, (key, value) in zip(lines, sorted(remedies.items()), strict=True):
        value = value.format(tmp_path)
        assert f"another model.{key} " in line and line.endswith(f"--config.model.{key}={value}")
        changed.update_from_flattened_dict({f"model.{key}": value})
    assert said(changed, family.prepare(changed, data(2))) == []  # nor of the path
    if name != "coupling":
        with changed.unlocked():
            changed.model.latent.dtype = "bfloat16"
        (line,) = said(
            changed, family.prepare(changed, data(2))
        )  # the same autoencoder all the same
        assert "other settings of the model" in line and "model.latent.dtype" in line


def test_one_modality_of_two_is_named(tmp_path, recwarn):
    config, data = made("diffusers")
    family = get_family("diffusers")
    there = family.prepare(config, data(0))
    here = family.prepare(config, data(2))
    mixed = {"t1w": there.latents["t1w"], "ct": here.latents["ct"], "xray": here.latents["ct"]}
    here = dataclasses.replace(here, latents=mixed, tokeniser=there.tokeniser)
    recwarn.clear()
    continuing.warn_of_others(tmp_path, config, config, there, here)
    (line,) = [str(one.message) for one in recwarn]
    assert "another model.latent.autoencoder of ct than" in line
    # What the other run has not stays as this one has it; it would be drawn in pixels.
    kept = tmp_path / "autoencoders"
    value = f"t1w={kept}/t1w,ct={kept}/ct,xray=patches"
    assert line.endswith(f"--config.model.latent.autoencoder={value}")
    settings = config.model.copy_and_resolve_references()
    settings.modalities, settings.latent.autoencoder = ("t1w", "ct", "xray"), value
    assert list(parse_autoencoders(settings)) == ["t1w", "ct", "xray"]


def test_one_modality_fewer_is_named_with_a_remedy_that_can_be_taken(tmp_path, recwarn):
    config, data = made("diffusers")
    family = get_family("diffusers")
    there = family.prepare(config, data(0))
    here = family.prepare(config, data(2))
    here = dataclasses.replace(here, latents={"ct": here.latents["ct"]}, tokeniser=there.tokeniser)
    recwarn.clear()
    continuing.warn_of_others(tmp_path, config, config, there, here)
    (line,) = [str(one.message) for one in recwarn]
    assert line.endswith(f"autoencoder=ct={tmp_path / 'autoencoders'}/ct")


def faint(seed):
    """As :func:`pictures`, a fifth as bright."""
    found = pictures(seed)
    train = dataclasses.replace(found.train, arrays={"image": found.train.images // 5})
    return Splits(train, train, train, found.info)


@pytest.mark.parametrize("divided", [True, False])
def test_another_spread_of_the_same_latents_is_named(divided, tmp_path, recwarn):
    family, config = get_family("symmetric"), default_config("symmetric")
    config.model.code.scheme = "grey"
    config.model.latent.update({**LATENT, "precondition": divided})
    first = pictures(0)
    family.prepare(config, first).save(tmp_path)
    there = family.load(config, first.info, tmp_path)
    config.model.latent.autoencoder = str(tmp_path / "autoencoder")
    for data, lines in ((first, 0), (faint(0), int(divided))):
        parts = family.prepare(config, data)
        recwarn.clear()
        continuing.warn_of_others(tmp_path, config, config, there, parts)
        said = [str(one.message) for one in recwarn]
        assert len(said) == lines
    if divided:
        assert "divides latents by their spread in its data" in said[0]
        assert float(re.search(r"up to ([\d.]+) times", said[0])[1]) > 2


def test_the_command_says_so(tmp_path, monkeypatch):
    from tests.commands.test_latent_command import FLAGS

    cache = f"--config.model.latent.cache={tmp_path / 'cache'}"
    flags = [*FLAGS, cache, "--config.train.steps=1", "--no-evaluate"]
    main([*flags, f"--workdir={tmp_path / 'a'}"])
    other = [*flags, "--config.data.seed=7", f"--config.train.init={tmp_path / 'a'}"]
    with pytest.warns(UserWarning, match="with another model.latent.autoencoder than this run has"):
        main([*other, f"--workdir={tmp_path / 'b'}"])
    taken = f"--config.model.latent.autoencoder={tmp_path / 'a' / 'autoencoder'}"
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*model.latent.autoencoder")
        main([*other, f"--workdir={tmp_path / 'c'}", taken])
