# %% [markdown]
# # A flow in the latent space of a converted autoencoder
#
# **At the end** you have a PyTorch autoencoder as a JAX one, have seen what it keeps of images, and
# have trained a flow in an autoencoder's latents that draws and classifies.
#
# Give your weights below: Stable Diffusion's `AutoencoderKL` in any naming, or one of the TAESD
# family. Where you have none, a tiny autoencoder of random numbers stands in to show the
# conversion, and the flow is trained in the latents of another one that needs no file: the
# principal components of 8 x 8 patches.
#
# **Time**: 35 minutes of training were measured on one of two CPU cores for the configuration as it
# stands, `latent_phantom` (224 pixels, 1600 steps), with patches. With your weights, or on a GPU or
# TPU, it was not.
#
# *Research software, not a medical device: it must not be used to diagnose or to treat.*

# %%
# Installs msflow_jax where it, or what this notebook needs beside it, is not there, with what JAX
# needs for a GPU or TPU.
import importlib.util
import shutil
from pathlib import Path

SOURCE = ""  # the repository's address; tools/make_notebooks.py writes setup.cfg's url here
NEEDS = {}  # extras by a module that each of them brings
missing = [name for name in ("msflow_jax", *NEEDS) if importlib.util.find_spec(name) is None]
if missing:
    extras = [NEEDS[name] for name in missing if name in NEEDS]
    extras += ["cuda"] * bool(shutil.which("nvidia-smi"))
    extras += ["tpu"] * (Path("/dev/accel0").exists() or Path("/dev/vfio/0").exists())
    checkout = Path("..").resolve()  # where the notebook lies in its repository
    if not SOURCE and not (checkout / "msflow_jax").is_dir():
        raise ImportError(
            f"{missing[0]} is not installed: pip install msflow_jax from its repository"
        )
    package = f"msflow_jax[{','.join(extras)}] @ {f'git+{SOURCE}' if SOURCE else checkout.as_uri()}"
    print(f"installing {package}")
    # %pip install -q "{package}"

# %% [markdown]
# ## Settings

# %%
import os

small = bool(os.environ.get("MSFLOW_NOTEBOOK_SMALL"))  # for tests: it runs, and learns nothing
runs = Path("runs")
# Such as "diffusion_pytorch_model.safetensors"; a .bin, .pt or .ckpt needs NEEDS = {"torch": "torch"}
# above. Empty: random numbers stand in.
weights = ""
train_in_stand_in = False  # whether the flow is trained in the latents of random numbers
changes = ["--config.train.log_every=100"]  # steps between two lines on progress
if small:
    train_in_stand_in = True
    changes = [
        "--config.data.side=32",
        "--config.data.phantoms.subjects=16",
        "--config.data.phantoms.slices=2",
        "--config.model.net.name=dit",
        "--config.model.net.patch=2",
        "--config.model.net.depth=1",
        "--config.model.net.width=8",
        "--config.model.net.head_channels=8",
        "--config.train.steps=4",
        "--config.train.batch=8",
        "--config.train.eval_every=4",
        "--config.train.writers=()",
        "--config.sample.batch=4",
        "--config.sample.classify.draws=2",
        "--config.sample.generate.steps=2",
    ]

# %% [markdown]
# Colab forgets its files when it stops. To keep the run on your Google Drive, set `keep_on_drive`
# to True: Colab then asks you before anything is mounted.

# %%
keep_on_drive = False
if keep_on_drive:
    from google.colab import drive

    drive.mount("/content/drive")
    runs = Path("/content/drive/MyDrive/msflow_jax")
workdir = runs / "latent"
autoencoder = runs / "autoencoders" / (Path(weights).stem or "random")

# %% [markdown]
# ## Devices
#
# On a CPU its cores become JAX's devices. Training splits each batch over all devices.

# %%
import jax

from msflow_jax.config import load_config
from msflow_jax.parallel import sharding
from msflow_jax.parallel.startup import start_jax

config = load_config(["--config=latent_phantom", *changes])
start_jax(config.train.batch)
print(jax.devices()[0].platform, jax.devices())
mesh = sharding.make_mesh(**config.train.mesh)
print(sharding.describe(mesh, config.train.batch, config.train.sharding))

# %% [markdown]
# ## Convert
#
# What `msflow convert-vae IN OUT` does. It reads safetensors and PyTorch files without running any
# code in them, compares names and shapes, and measures how well a test picture comes back.
#
# The stand-in has the names and shapes of a TAESD autoencoder of 8 channels, and random numbers:
# what it draws means nothing.

# %%
import numpy as np
from safetensors.numpy import save_file

from msflow_jax.commands.convert_vae import main as convert


def random_tiny(width: int = 8, latent: int = 4) -> dict[str, np.ndarray]:
    """A state dict in TAESD's names, PyTorch's layout and random numbers."""
    rng, state = np.random.default_rng(0), {}

    def conv(name: str, inside: int, out: int, bias: bool = True) -> None:
        scale = (2 / (9 * inside)) ** 0.5
        state[f"{name}.weight"] = rng.normal(0, scale, (out, inside, 3, 3)).astype(np.float32)
        if bias:
            state[f"{name}.bias"] = np.zeros(out, np.float32)

    def block(name: str) -> None:
        for i in (0, 2, 4):
            conv(f"{name}.conv.{i}", width, width)
        state[f"{name}.conv.4.weight"] *= 0.1  # twenty blocks would else grow beyond all bounds

    conv("encoder.layers.0", 3, width)
    block("encoder.layers.1")
    for level in range(3):
        conv(f"encoder.layers.{2 + 4 * level}", width, width, bias=False)
        for i in range(3):
            block(f"encoder.layers.{3 + 4 * level + i}")
    conv("encoder.layers.14", width, latent)
    conv("decoder.layers.0", latent, width)
    for level in range(3):
        for i in range(3):
            block(f"decoder.layers.{2 + 5 * level + i}")
        conv(f"decoder.layers.{6 + 5 * level}", width, width, bias=False)
    block("decoder.layers.17")
    conv("decoder.layers.18", width, 3)
    # Around grey: it ends in [0, 1].
    state["decoder.layers.18.weight"] *= 0.1
    state["decoder.layers.18.bias"] += 0.5
    return state


source = Path(weights)
if not weights:
    source = runs / "random_tiny.safetensors"
    source.parent.mkdir(parents=True, exist_ok=True)
    save_file(random_tiny(), source)
if not autoencoder.exists():
    convert([str(source), str(autoencoder)])

# %% [markdown]
# ## Train
#
# Every training image is encoded once, before the first step, and kept in a cache; the flow never
# calls the encoder again while it learns. Run the cell again after an interruption and it goes on
# where it was.

# %%
from msflow_jax.commands.train import main as train

chosen = str(autoencoder) if weights or train_in_stand_in else "patches"
given = [
    "--config=latent_phantom",
    *changes,
    f"--config.model.latent.autoencoder={chosen}",
    f"--config.model.latent.cache={runs / 'latents'}",
]
train([*given, f"--workdir={workdir}", "--no-evaluate"])

# %% [markdown]
# ## What the autoencoder keeps
#
# It caps whatever is drawn. Above: test images; below: the same, encoded and decoded.

# %%
from IPython.display import Image, display

import msflow_jax
from msflow_jax import data
from msflow_jax.data.batches import to_float, to_uint8
from msflow_jax.reports.figures import save_grid

flow = msflow_jax.open(workdir)
test = data.load(flow.config.data).test
images, codec = test.images[:4], flow.model.codec


@jax.jit
def there_and_back(params, images):
    return codec.decode(params, codec.encode(params, to_float(images)))


back = np.asarray(to_uint8(there_and_back(flow.params["codec"], images)))
error = np.square(back / 255.0 - images / 255.0).mean(axis=(1, 2, 3))
print(
    f"{images.shape[1:]} -> {codec.inner} -> {back.shape[1:]}; PSNR",
    *np.round(-10 * np.log10(error), 1),
)
picture = save_grid(
    workdir / "pictures" / "reconstructed.png",
    np.concatenate([images, back]), [0] * 4 + [1] * 4, ("image", "decoded"), per_row=4,
)  # fmt: skip
display(Image(filename=picture))

# %% [markdown]
# ## Draw and classify

# %%
prediction = flow.classify(test.images)
print(f"{len(test)} test images: accuracy {(prediction.prediction == test.labels).mean():.3f}")
drawn = flow.generate(flow.classes, 4)
labels = [k for k in range(len(flow.classes)) for _ in range(4)]
picture = save_grid(
    workdir / "pictures" / "drawn.png", drawn, labels, flow.classes, per_row=4
)  # fmt: skip
display(Image(filename=picture))

# %% [markdown]
# `msflow evaluate --workdir=runs/latent` measures everything and writes the report. More on
# autoencoders, the cache and read-outs: `docs/latent.md`; on fine-tuning one to your images:
# `docs/finetuning_vae.md`.
