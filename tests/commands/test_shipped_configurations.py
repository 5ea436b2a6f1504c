"""The configurations in configs/: each builds its network and tells what it is."""

import re
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.config import load_config
from msflow_jax.coupling.parts import CouplingParts
from msflow_jax.data import Info
from msflow_jax.families import get_family
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.nets.patches import PatchAutoencoder
from msflow_jax.nets.tiny import TinyAutoencoder
from msflow_jax.nets.vae import AutoencoderKL
from msflow_jax.symmetric import LatentCode
from msflow_jax.symmetric.parts import SymmetricParts
from tests.commands.test_train_command import ROOT

CONFIGS = sorted((ROOT / "configs").glob("*.py"))
SEVERAL = ("medm2g", "synermedgen")  # of several modalities: built in tests of their own


def variants():
    found = []
    for path in CONFIGS:
        text = path.read_text()
        named = re.findall(rf"{re.escape(path.name)}:(\w+)", text) or ["cpu"] * ("variant" in text)
        found += [str(path), *(f"{path}:{name}" for name in dict.fromkeys(named))]
    return found


def parts_for(config, side, dims=2):
    """An autoencoder of the kind that a latent configuration names, without weights; or a mask."""
    if config.family == "coupling":
        return CouplingParts(np.arange(side) > side // 2 + np.zeros((side,) * (dims - 1) + (1,)))
    nets = {
        "": None, "patches": PatchAutoencoder(), "autoencoders/taef2": TinyAutoencoder(latent=32),
        "autoencoders/sd-vae-ft-mse": AutoencoderKL(),
    }  # fmt: skip
    net = nets[config.latent.autoencoder]
    if net is None:
        return SymmetricParts()
    code = None
    if config.code.scheme == "encoded":
        side = config.resize // net.factor
        pictures = np.zeros((3, 1, side, side, net.latent), np.float32)
        code = LatentCode("encoded", pictures[:, 0], pictures)
    return SymmetricParts(Autoencoder(net), {}, code=code)


@pytest.mark.parametrize(
    "name",
    [v for v in variants() if not any(kind in str(v) for kind in SEVERAL)],
    ids=lambda name: Path(name).name,
)
def test_every_configuration_builds(name):
    """The network takes the data's channels and sides; nothing is computed."""
    config = load_config([f"--config={name}"])
    channels, side = (1, 32) if config.data.name == "phantoms" else (3, 28)
    side = config.data.side or side
    info = Info(
        config.data.name, ("a", "b", "c"), channels, side, "multi-class", "", "", "", (), ("x", "y"),
        space=(side,) * config.data.dims,
    )  # fmt: skip
    parts = parts_for(config.model, side, config.data.dims)
    model = get_family(config.model.family).build(config, info, parts)
    if config.model.family == "coupling":
        assert sum(np.prod(s) for s in model.latent_shapes()) == model.dimensions
        return
    total = model.image_channels + model.code.channels
    x = jax.ShapeDtypeStruct((2, *model.space, total), jnp.float32)
    u = jax.ShapeDtypeStruct((2,), jnp.float32)
    params = jax.eval_shape(model.net.init, jax.random.key(0), x, u)["params"]
    out = jax.eval_shape(lambda p, x, u: model.net.apply({"params": p}, x, u), params, x, u)
    assert out.shape == x.shape and out.dtype == jnp.float32
    if config.model.code.scheme == "encoded":  # LatMSF as published
        assert (
            model.space == (32, 32) and sum(a.size for a in jax.tree.leaves(params)) == 35_757_832
        )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_configurations_tell_what_they_are(path):
    text = runpy.run_path(str(path))["__doc__"]
    own = path.name == "own_images.py"  # nothing is published on images that nobody else has
    assert own or "Published:" in text or "Paper:" in text
    assert f"--config=configs/{path.name}" in text
