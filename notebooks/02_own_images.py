# %% [markdown]
# # Your own images, to a report
#
# **At the end** you have a flow trained on a table of your images, sized to them and to your
# machine; its report; and a table of classified images: class, calibrated probability, what the
# model abstains from, and a p-value that tells images of another kind than those that it learned.
#
# Until you name a table of your own, a few PNGs are written as a stand-in: slices of head phantoms,
# computed, of no patient. How long it takes depends on your images and is not stated; training
# shows the time left.
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
#
# `table` is a CSV with the columns `path` and `label`, and where you have them `patient` (no
# patient is then in two splits) and `split` (`train`, `val`, `test`). A folder with a sub-folder of
# each class will do too, if each image is of another patient. PNG, JPEG, TIFF; for DICOM and NIfTI
# make it `NEEDS = {"pydicom": "medical"}` in the cell above.

# %%
import os

small = bool(os.environ.get("MSFLOW_NOTEBOOK_SMALL"))  # for tests: it runs, and learns nothing
runs = Path("runs")
table = ""  # such as "/content/images.csv"; empty: the stand-in
subjects, side = 120, 32  # of the stand-in
changes = []  # such as "--config.train.steps=2000"
if small:
    subjects, side = 40, 16
    changes = [
        "--config.model.net.name=dit",
        "--config.model.net.patch=4",
        "--config.model.net.depth=1",
        "--config.model.net.width=8",
        "--config.model.net.head_channels=8",
        "--config.train.steps=4",
        "--config.train.batch=8",
        "--config.train.eval_every=4",
        "--config.train.writers=()",
        "--config.sample.batch=16",
        "--config.sample.classify.draws=2",
        "--config.sample.generate.per_class=0",
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
workdir = runs / "own_images"

# %% [markdown]
# ## Images
#
# The stand-in: slices with few and with many lesions as PNGs, and the table that lists them.

# %%
import csv

from msflow_jax import data
from msflow_jax.data.sources.decoding import encode

if not table:
    phantoms = data.default_config("phantoms")
    phantoms.side = side
    phantoms.phantoms.update(dict(subjects=subjects, slices=2))
    splits = data.load(phantoms)
    folder = runs / "phantom_images"
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "images.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "patient", "split"])
        for part in ("train", "val", "test"):
            split = splits[part]
            for i, image in enumerate(split.images):
                name = f"{split.names[i].replace('/', '_')}.png"
                (folder / name).write_bytes(encode(image))
                label = "few" if split.labels[i] < 2 else "many"  # lesions
                rows.writerow([name, label, split.groups[i], part])
    print("a stand-in, phantoms:", table)

# %% [markdown]
# ## Devices
#
# On a CPU its cores become JAX's devices. Training splits each batch over all devices.

# %%
import jax

from msflow_jax.commands.train import fit_to_data
from msflow_jax.config import load_config
from msflow_jax.parallel import sharding
from msflow_jax.parallel.startup import start_jax

given = ["--config=own_images", f"--config.data.root={table}", *changes]
config = load_config(given)
start_jax(config.train.batch)
print(jax.devices()[0].platform, jax.devices())
fit_to_data(config, [change.split("=")[0].removeprefix("--config.") for change in changes])
mesh = sharding.make_mesh(**config.train.mesh)
print(sharding.describe(mesh, config.train.batch, config.train.sharding))

# %% [markdown]
# Above stands what was found and what was chosen for it; any of it can be changed in `changes`.
#
# ## Train, evaluate, report
#
# Run the cell again after an interruption and it goes on where it was.

# %%
from msflow_jax.commands.train import main as train

train([*given, f"--workdir={workdir}"])
print("open", (workdir / "report" / "index.html").resolve())

# %% [markdown]
# ## Classify images into a table
#
# Three images of another kind (noise, stripes and an empty one), and test images. `outside` is a
# p-value: how many of the images that the model knows are as odd as this one. From 1 % down it
# abstains, as it does where the uncertainty is above the threshold that keeps 80 % of the
# validation images.

# %%
from types import SimpleNamespace

import numpy as np
from IPython.display import Image, display

import msflow_jax
from msflow_jax.inference.predicted import tabulate
from msflow_jax.reports.figures import save_grid
from msflow_jax.storage.text import write_csv

flow = msflow_jax.open(workdir)
test = data.load(flow.config.data).test
shape = test.images.shape[1:]
stripes = np.where(np.arange(shape[1]) % 4 < 2, 255, 0).astype(np.uint8)
odd = {
    "odd_noise": np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8),
    "odd_stripes": np.broadcast_to(stripes[:, None], shape),
    "odd_grey": np.full(shape, 128, np.uint8),
}
known = {f"test_{i:03d}": image for i, image in enumerate(test.images[:40])}
images = np.stack([*known.values(), *odd.values()])  # uint8, as the model sees them
prediction = flow.classify(images, description="classifying")
given = SimpleNamespace(names=[*known, *odd], images=images)
rows, _, lines = tabulate(flow, prediction, given, keep=0.8, measure="distance", outside=0.01)
print(*lines, sep="\n")
write_csv(runs / "classified.csv", rows)

# %%
probability = f"p_{flow.classes[-1]}"
columns = ("name", "class", probability, "uncertainty_distance", "outside", "abstain")
columns = tuple(name for name in columns if name in rows[0])
print("  ".join(f"{name:20}" for name in columns))
for row in rows[:15]:
    print("  ".join(f"{row[name]!s:20.20}" for name in columns))
titles = [f"{row['class']}{' (abstains)' * bool(int(row['abstain'] or 0))}" for row in rows]
shown = range(min(8, len(rows)))
picture = save_grid(
    workdir / "pictures" / "classified.png", images[shown], shown, [titles[i] for i in shown]
)
display(Image(filename=picture))

# %% [markdown]
# The whole table is `runs/classified.csv`; `docs/reference/tables.md` tells its columns. Files that
# nobody has labelled are classified by `msflow classify --workdir=W --images=FOLDER`; with
# `--coverage=0.9` it adds conformal sets of classes
# (`docs/uncertainty.md`). Whether abstention finds errors, and whether images of another kind are
# told, the report says; look there before you rely on either.
