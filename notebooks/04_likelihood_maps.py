# %% [markdown]
# # Likelihood maps: which pixels speak for a class
#
# **At the end** you have trained a coupling flow on head phantoms (computed, not patients) in six
# contrasts of MR, know the exact log-likelihood of an image under each, and have two maps of it:
# where an image is likely, and which pixels speak for one class against another. The maps add up to
# the likelihoods.
#
# **Time**: training took 4.5 minutes on one of two CPU cores (docs/coupling.md). On a GPU or TPU it
# was not measured.
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
changes = ["--config.train.log_every=100"]  # steps between two lines on progress
if small:
    changes = [
        "--config.data.side=16",
        "--config.data.phantoms.subjects=20",
        "--config.data.phantoms.slices=2",
        "--config.model.layout=squeeze half:1 split half:1",
        "--config.model.conditioner.width=8",
        "--config.train.steps=4",
        "--config.train.batch=8",
        "--config.train.eval_every=4",
        "--config.train.writers=()",
        "--config.sample.batch=4",
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
workdir = runs / "likelihood_maps"

# %% [markdown]
# ## Devices
#
# On a CPU its cores become JAX's devices. Training splits each batch over all devices.

# %%
import jax

from msflow_jax.config import load_config
from msflow_jax.parallel import sharding
from msflow_jax.parallel.startup import start_jax

config = load_config(["--config=magic_phantom_modality", *changes])
start_jax(config.train.batch)
print(jax.devices()[0].platform, jax.devices())
mesh = sharding.make_mesh(**config.train.mesh)
print(sharding.describe(mesh, config.train.batch, config.train.sharding))

# %% [markdown]
# ## Train
#
# Run the cell again after an interruption and it goes on where it was.

# %%
from msflow_jax.commands.train import main as train

train(["--config=magic_phantom_modality", *changes, f"--workdir={workdir}", "--no-evaluate"])

# %% [markdown]
# ## Log-likelihoods
#
# Of the 8-bit image, in nats, and as bits for each pixel. The class of an image is the one under
# which it is most probable, by Bayes' rule.

# %%
import numpy as np

import msflow_jax
from msflow_jax import data

flow = msflow_jax.open(workdir)
test = data.load(flow.config.data).test
prediction = flow.classify(test.images)
print(f"{len(test)} test images: accuracy {(prediction.prediction == test.labels).mean():.3f}, "
      f"{prediction.bits_per_dimension.mean():.2f} bits per pixel")  # fmt: skip
first = [int(np.flatnonzero(test.labels == k)[0]) for k in np.unique(test.labels)][:4]
for i in first:
    print(f"true {flow.classes[test.labels[i]]:6} predicted {prediction.names[i]:6} "
          f"log p(x) {prediction.log_likelihood[i]:9.1f} nats")  # fmt: skip

# %% [markdown]
# ## Maps
#
# For each image: log p(x | predicted class) pixel by pixel, and the same minus that of the second
# class. Red is above zero (of the first map: above its median), blue below.

# %%
from IPython.display import Image, display

from msflow_jax.reports.figures import as_rgb, save_grid
from msflow_jax.reports.overlays import overlay

images = test.images[first]
order = prediction.distance[first].argsort(axis=1)
found = flow.explain(images, order[:, 0], order[:, 1])
pictures, titles = [], []
for i, image in enumerate(images):
    label, other = (flow.classes[k] for k in order[i, :2])
    pictures += [as_rgb(image[None])[0], overlay(image, found.map[i], centre=True)]
    pictures += [overlay(image, found.log_ratio[i])]
    titles += ["image", f"log p(x|{label})", f"{label} over {other}"]
picture = save_grid(
    workdir / "pictures" / "maps.png", np.stack(pictures), range(len(titles)), titles, per_row=3
)  # fmt: skip
display(Image(filename=picture))

# %% [markdown]
# ## They add up
#
# The sum of a map is log p(x | class). By it, and by that of every other class with its prior,
# comes the log p(x) above; the sum of the second map is the log-likelihood ratio of both classes.
# They are terms of a sum, not causes: change a pixel, and every term may change.

# %%
total = found.map.sum(axis=(1, 2), dtype=np.float64)
ratio = found.log_ratio.sum(axis=(1, 2), dtype=np.float64)
count, classes = len(images), len(flow.classes)
# Every image under every class.
labels = np.tile(np.arange(classes), count)
each = flow.explain(np.repeat(images, classes, axis=0), labels, (labels + 1) % classes).map
joint = each.sum(axis=(1, 2), dtype=np.float64).reshape(count, classes)
prior = np.array(flow.info.counts) / sum(flow.info.counts)
marginal = np.logaddexp.reduce(joint + np.log(prior), axis=1)
read = prediction.log_likelihood[first]
rows = np.arange(count)
difference = joint[rows, order[:, 0]] - joint[rows, order[:, 1]]
for i in rows:
    print(f"map {total[i]:9.2f} = {joint[i, order[i, 0]]:9.2f}   ratio map {ratio[i]:9.3f} = "
          f"{difference[i]:9.3f}   log p(x) {marginal[i]:9.2f} = {read[i]:9.2f}")  # fmt: skip
np.testing.assert_allclose(total, joint[rows, order[:, 0]], rtol=1e-5)
np.testing.assert_allclose(ratio, difference, rtol=1e-3, atol=0.05)
np.testing.assert_allclose(marginal, read, rtol=1e-5)

# %% [markdown]
# ## Draw
#
# A coupling flow is a bijection: from Gaussian latents, the other way round, come images of a
# class.

# %%
drawn = flow.generate(flow.classes, 4)
labels = [k for k in range(len(flow.classes)) for _ in range(4)]
picture = save_grid(
    workdir / "pictures" / "drawn.png", drawn, labels, flow.classes, per_row=4
)  # fmt: skip
display(Image(filename=picture))

# %% [markdown]
# `msflow explain` writes maps of image files; `msflow evaluate` measures the model and writes the
# report. More: `docs/coupling.md`.
