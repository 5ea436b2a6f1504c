"""The configurations build: nothing is computed or allocated."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh
from jax.sharding import PartitionSpec as P

from msflow_jax.config import load_config
from msflow_jax.data import Info, Modality
from msflow_jax.diffusers.decoder import route_parameters
from msflow_jax.diffusers.family import FAMILY
from msflow_jax.diffusers.networks import start
from msflow_jax.diffusers.parts import DiffusersParts
from msflow_jax.diffusers.text import token_shape
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.latent.kept import Kept
from msflow_jax.nets import count_parameters
from msflow_jax.nets.vae import AutoencoderKL
from msflow_jax.paired.latents import Latents
from msflow_jax.paired.tokens import Tokeniser
from msflow_jax.parallel.sharding import bytes_per_device, partition

pytest.importorskip("tokenizers")


def facts(config):
    side = config.data.side
    images = {
        m: Modality("image", (side, side, 1)) for m in ("xray", "ct", "t1w", "t2w", "pdw", "flair")
    }
    return Info(
        config.data.name, ("a", "b"), 1, side, "binary-class", "", "", "", (),
        modalities={**images, "label": Modality("label", ())},
    )  # fmt: skip


def share_of_decoder(model, source):
    """Parameters of the control of drawn reports, relative to those of the route itself."""
    shape = (1, *model.modalities[source].codec.shape)
    own = jax.eval_shape(
        model.controls.decoder.init, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32),
        token_shape(model.length),
    )  # fmt: skip
    return count_parameters(own) / route_parameters(model, source)


@pytest.mark.parametrize("name", ["medm2g_phantom", "medm2g_cohort"])
def test_it_builds_with_as_many_parameters_as_it_says(name):
    config = load_config([f"--config=configs/{name}.py"])
    parts = DiffusersParts(Tokeniser.fit(["There is one lesion."]))
    model = FAMILY.build(config, facts(config), parts)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    assert set(shapes["diffuser"]) == set(config.model.modalities)
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes["diffuser"]["t1w"]))
    assert 0.9e6 < count < 1.1e6 if name == "medm2g_phantom" else count > 2e7
    for source in model.controls.decoded[1:]:  # the width is matched to the first
        assert 0.8 < share_of_decoder(model, source) < 1.2


def test_the_paper_size_in_latents_and_its_shardings():
    config = load_config(["--config=configs/medm2g_paper.py"])
    one = Latents(Kept(Autoencoder(AutoencoderKL(), 0.18215), None), (0.0,) * 4, (1.0,) * 4)
    parts = DiffusersParts(
        Tokeniser.fit(["There is one lesion."]), dict.fromkeys(("xray", "ct", "t1w", "t2w"), one)
    )
    model = FAMILY.build(config, facts(config), parts)
    ct = model.modalities["ct"]
    assert ct.inner == (32, 32, 4) and ct.diffuser.patch == 2 and ct.latent
    report = model.modalities["report"]
    assert report.inner == (4, 4, 48) and report.diffuser.patch == 1
    key = jax.random.key(0)
    tree = jax.eval_shape(lambda: start(model, key, ("align", "diffuser", "context"), ("ct",)))
    count = {name: sum(a.size for a in jax.tree.leaves(one)) for name, one in tree.items()}
    assert 8.0e8 < count["diffuser"] < 8.8e8  # CoDi's: 8.6e8
    assert 0.85e8 < count["align"] < 0.95e8  # ViT-B/16: 0.86e8
    mesh = AbstractMesh((8, 1), ("data", "model"))
    strategy = config.train.sharding
    whole, each = (bytes_per_device(tree, mesh, one) for one in ("replicated", strategy))
    assert strategy == "fsdp" and whole / each > 7.9
    block = tree["diffuser"]["ct"]["block_0"]
    assert partition(block["qkv"]["kernel"].shape, mesh, strategy) == P(None, "data")
    assert partition(block["mlp2"]["kernel"].shape, mesh, strategy) == P("data")


@pytest.mark.parametrize("stage", ["draw", "link"])
def test_the_benchmark_takes_the_step_of_a_stage(monkeypatch, stage):
    """Traced, not compiled."""
    folder = Path(__file__).resolve().parents[2] / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("medm2g_speed", folder / "medm2g_speed.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    model, config = benchmark.build("tiny", 64, latents=True)
    assert benchmark.tokens(model) == 16
    program = benchmark.Program("tiny", 64, "latents", stage, 4)
    state, data, plan, frozen = program.arguments(model, config, shapes=True)
    assert set(state.params) == ({"diffuser"} if stage == "draw" else {"diffuser", "context"})
    assert set(state.params["diffuser"]) == ({"t1w"} if stage == "draw" else {"t1w", "ct"})
    assert data["ct/deviation"].shape == (4, 8, 8, 4)
    steps, _ = benchmark.step_of(model, config, stage)
    _, metrics = jax.eval_shape(steps, state, data, plan, frozen)
    assert {"loss", "loss_t1w", "gradient_norm"} <= set(metrics)
