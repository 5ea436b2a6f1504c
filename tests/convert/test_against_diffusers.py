"""Autoencoders that the diffusers library builds give the same latents and images once converted."""

import importlib
import re
from functools import cache

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from msflow_jax.convert.vae import convert_vae
from msflow_jax.latent.autoencoder import load
from msflow_jax.nets.tiny import TinyAutoencoder
from msflow_jax.nets.vae import AutoencoderKL

TOLERANCE = 1e-4  # of the reference's spread
STABLE_DIFFUSION = (128, 256, 512, 512)
NARROW = (32, 64, 96, 96)
SDXL = {"scaling_factor": 0.13025}
FLUX = {
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "latent_channels": 16,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}


def library():
    for name in ("torch", "diffusers"):
        pytest.importorskip(name, reason=f"no {name}: pip install 'msflow_jax[torch]'")
    import diffusers

    return diffusers


def randomised(build, *arguments, **options):
    """A network with no trivial norm or bias, whose attention is far from uniform."""
    import torch

    torch.manual_seed(0)
    model = build(*arguments, **options).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            parameter += 0.2 * torch.randn_like(parameter)
        if re.search(r"\.to_[qk]\.weight", name):
            parameter *= 4
    return model


def kl(widths, **options):
    options = {"latent_channels": 4, "layers_per_block": 2, "norm_num_groups": 32, **options}
    return randomised(
        library().AutoencoderKL,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        **options,
    )


def pixels(*shape):
    return np.random.default_rng(0).uniform(-1, 1, (*shape, 3)).astype(np.float32)


def torch_of(array):
    import torch

    return torch.from_numpy(np.asarray(array).transpose(0, 3, 1, 2).copy())


def plain(state):
    return {name: tensor.numpy() for name, tensor in state.items()}


def assert_close(**pairs):
    for what, (got, expected) in pairs.items():
        expected = expected.numpy().transpose(0, 2, 3, 1)
        assert got.shape == expected.shape and expected.std() > 0.01, what
        error = np.abs(got - expected).max() / expected.std()
        assert error < TOLERANCE, f"{what} is {error:.1e} of the spread from diffusers'"


def old_names(state):
    """Before 0.18, as most files on the hub."""
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    pattern = re.compile(r"(?<=\.attentions\.0\.)(to_[qkv]|to_out\.0)(?=\.)")
    return {pattern.sub(lambda m: old[m[0]], k): v for k, v in state.items()}


def compvis_names(state):
    """github.com/CompVis/latent-diffusion: attention by 1x1 convolutions, decoder levels from fine."""
    levels = len({k.split(".")[2] for k in state if k.startswith("decoder.up_blocks.")})
    middle = {
        "resnets.0": "block_1",
        "resnets.1": "block_2",
        "attentions.0.group_norm": "attn_1.norm",
        "attentions.0.to_q": "attn_1.q",
        "attentions.0.to_k": "attn_1.k",
        "attentions.0.to_v": "attn_1.v",
        "attentions.0.to_out.0": "attn_1.proj_out",
    }

    def original(name):
        for new, old in middle.items():
            name = name.replace(f".mid_block.{new}.", f".mid.{old}.")
        if found := re.match(r"(.*)\.(down|up)_blocks\.(\d)\.(.*)", name):
            half, way, number, rest = found.groups()
            number = int(number) if way == "down" else levels - 1 - int(number)
            rest = rest.replace("resnets.", "block.").replace("samplers.0.", "sample.")
            name = f"{half}.{way}.{number}.{rest}"
        name = name.replace(".conv_shortcut.", ".nin_shortcut.")
        return name.replace(".conv_norm_out.", ".norm_out.")

    out = {original(k): v for k, v in state.items()}
    linear = [k for k, v in out.items() if ".attn_1." in k and v.ndim == 2]
    return out | {k: out[k][:, :, None, None] for k in linear}


def whole_checkpoint(state):
    """The first stage among the other networks."""
    named = {f"first_stage_model.{k}": v for k, v in compvis_names(state).items()}
    return {"model.diffusion_model.out.2.bias": np.zeros(4, np.float32), **named}


@pytest.fixture(scope="module")
def stable_diffusion():
    """The network in full size, with images, their posterior, and the decoding of its mean."""
    model, images = kl(STABLE_DIFFUSION), pixels(1, 64, 64)
    posterior = model.encode(torch_of(images)).latent_dist
    decoded = model.decode(posterior.mean).sample
    expected = {"mean": posterior.mean, "log_variance": posterior.logvar, "decoded": decoded}
    return plain(model.state_dict()), images, expected


@cache
def full_size():
    net = AutoencoderKL()

    @jax.jit
    def outputs(params, images):
        mean, log_variance = net.apply({"params": params}, images, method="encode")
        decoded = net.apply({"params": params}, mean, method="decode")
        return {"mean": mean, "log_variance": log_variance, "decoded": decoded}

    return outputs


@pytest.mark.parametrize("naming", [dict, old_names, whole_checkpoint])
def test_stable_diffusion_in_full_size(naming, stable_diffusion):
    state, images, expected = stable_diffusion
    kind, config, params = convert_vae(naming(state))
    assert kind is AutoencoderKL and AutoencoderKL(**config) == AutoencoderKL()
    assert sum(a.size for a in jax.tree.leaves(params)) == 83_653_863
    got = full_size()(params, images)
    assert_close(**{what: (got[what], expected[what]) for what in expected})


def test_diffusers_reads_the_older_namings_as_such(tmp_path):
    """What the namings above stand for is not an opinion of this file."""
    model = kl(NARROW)
    state = plain(model.state_dict())
    model.save_config(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    for naming, read in {
        old_names: lambda: type(model).from_pretrained(tmp_path),
        whole_checkpoint: lambda: type(model).from_single_file(str(file), config=str(tmp_path)),
    }.items():
        save_file(naming(state), file)
        again = plain(read().state_dict())
        assert again.keys() == state.keys()
        assert all(np.array_equal(again[name], state[name]) for name in state)


@pytest.fixture
def converted(tmp_path):
    """What the command makes of a folder that diffusers saved, its config.json included."""
    tool = importlib.import_module("msflow_jax.commands.convert_vae")

    def call(model):
        model.save_pretrained(tmp_path / "saved")
        tool.convert(tmp_path / "saved" / "diffusion_pytorch_model.safetensors", tmp_path / "vae")
        return load(tmp_path / "vae")

    return call


def there_and_back(autoencoder, params, images):
    @jax.jit
    def outputs(params, images):
        mean, deviation = autoencoder.moments(params, images)
        return mean, deviation, autoencoder.decode(params, mean)

    return outputs(params, images)


@pytest.mark.parametrize("options", [SDXL, FLUX], ids=["SDXL", "SD3 and FLUX"])
def test_scaled_latents(options, converted):
    """As the pipelines of diffusers scale and shift them; the images are not square."""
    model = kl(NARROW, layers_per_block=1, norm_num_groups=8, **options)
    autoencoder, params = converted(model)
    assert autoencoder.net.quant == options.get("use_quant_conv", True)
    images = pixels(2, 32, 48)
    mean, deviation, decoded = there_and_back(autoencoder, params, images)
    scale, shift = options["scaling_factor"], options.get("shift_factor", 0.0)
    posterior = model.encode(torch_of(images)).latent_dist
    latents = (posterior.mean - shift) * scale
    assert_close(
        mean=(mean, latents),
        deviation=(deviation, posterior.std * scale),
        decoded=(decoded, model.decode(latents / scale + shift).sample),
    )


def test_the_tiny_autoencoder(converted):
    model = randomised(library().AutoencoderTiny, latent_channels=4)
    autoencoder, params = converted(model)
    assert autoencoder.net == TinyAutoencoder() and autoencoder.scale == 1
    images = pixels(2, 32, 48)
    mean, deviation, decoded = there_and_back(autoencoder, params, images)
    assert deviation.max() < 1e-6
    latents = model.encode(torch_of(images)).latents
    assert_close(mean=(mean, latents), decoded=(decoded, model.decode(latents).sample))
