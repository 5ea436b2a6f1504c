"""The configurations build: nothing is computed or allocated."""

import jax
import pytest
from jax.sharding import AbstractMesh

from msflow_jax.config import load_config
from msflow_jax.data import Info, Modality
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.latent.kept import Kept
from msflow_jax.nets.vae import AutoencoderKL
from msflow_jax.paired.latents import Latents
from msflow_jax.paired.tokens import Tokeniser
from msflow_jax.parallel.sharding import bytes_per_device
from msflow_jax.synergy.family import FAMILY
from msflow_jax.synergy.parts import SynergyParts
from msflow_jax.synergy.phrases import texts, word
from msflow_jax.synergy.recipes import phantom

pytest.importorskip("tokenizers")


def build(name, variant=""):
    config = load_config([f"--config=configs/{name}.py{variant}"])
    FAMILY.check(config)
    side, names = config.data.side, config.model.modalities
    info = Info(
        config.data.name, ("a", "b"), 1, side, "binary-class", "", "", "", (),
        modalities={one: Modality("image", (side, side, 1)) for one in names},
    )  # fmt: skip
    words = {one: word(one) for one in names}
    latents = None
    if config.model.latent.autoencoder:  # FLUX's
        flux = Autoencoder(AutoencoderKL(latent=16, quant=False), 0.3611)
        latents = Latents(Kept(flux, None), (0.0,) * 16, (1.0,) * 16)
    parts = SynergyParts(Tokeniser.fit(texts(words), margin=1.0), (), latents)
    model = FAMILY.build(config, info, parts)
    return config, model, jax.eval_shape(model.init, jax.random.key(0))


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("variant", ["", ":zero_shot+control", ":mixed", ":unprepared", ":random"])
def test_the_phantom_configuration_and_its_arms(variant):
    _, model, shapes = build("synermedgen_phantom", variant)
    assert 0.9e6 < count([shapes[part] for part in ("understanding", "drawing")]) < 1.1e6
    assert model.codec.inner == (32, 32, 1)


@pytest.mark.parametrize(
    "variant, noise",
    [
        ("zero_shot", 0.1),
        ("zero_shot+control", 100.0),
        ("random+zero_shot", 100.0),
        ("control", 0.1),
    ],
)
def test_without_pairs_the_controls_have_a_noise_of_their_own(variant, noise):
    assert phantom(variant).model.noise == noise


@pytest.mark.parametrize("variant", ["", "mixed", "unprepared", "zero_shot"])
def test_the_full_model_leaves_no_condition_out(variant):
    """Guidance, which needs it, costs so small a network a third of its error."""
    dropout = phantom(variant).model.dropout
    assert dropout.words == 0
    assert (dropout.latents == dropout.content == 0) == (variant != "zero_shot")


def test_the_cohort_configuration():
    _, model, shapes = build("synermedgen_cohort")
    assert count(shapes["drawing"]) > 1e7 and model.understanding.grid == (16, 16)


def test_the_paper_size_and_its_shardings():
    config, model, shapes = build("synermedgen_paper")
    assert model.codec.inner == (64, 64, 16)
    # Two experts of Qwen2.5-7B without its vocabulary, 6.5e9 each, and SigLIP-so400m.
    assert 6.4e9 < count(shapes["drawing"]) < 6.7e9
    assert 6.4e9 < count(shapes["understanding"]) < 6.7e9
    assert 3.5e8 < count(shapes["content"]) < 4.6e8
    mesh = AbstractMesh((64, 1), ("data", "model"))
    whole, each = (
        bytes_per_device(shapes, mesh, one) for one in ("replicated", config.train.sharding)
    )
    assert whole / each > 60
