# %% [markdown]
# # Quickstart: one flow that classifies and draws
#
# **At the end** you have trained a flow on head phantoms (computed, not patients) whose lesions are
# graded none, mild, moderate and severe; read its report; classified test images, with an
# uncertainty and with images that the model rejects; and drawn heads of a class of your choice.
#
# **Time**: about 6 minutes on two CPU cores, the install apart; slower cores were seen to take
# nearly twice as long. On a GPU or TPU it was not measured. Nothing is downloaded but packages.
#
# In Colab choose a GPU or a TPU by *Runtime, Change runtime type*; a CPU does as well.
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
# All that you may want to change. `changes` takes any setting as `--config.KEY=VALUE`, such as
# `--config.train.steps=8000` for better drawings. Everything is written under `runs/`.

# %%
import os

small = bool(os.environ.get("MSFLOW_NOTEBOOK_SMALL"))  # for tests: it runs, and learns nothing
runs = Path("runs")
wanted = "severe"  # the class that is drawn
changes = []
if small:
    changes = [
        "--config.data.side=16",
        "--config.data.phantoms.subjects=16",
        "--config.data.phantoms.slices=2",
        "--config.model.net.name=dit",
        "--config.model.net.patch=4",
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
workdir = runs / "quickstart"

# %% [markdown]
# ## Devices
#
# On a CPU its cores become JAX's devices. Training splits each batch over all devices.

# %%
import jax

from msflow_jax.config import load_config
from msflow_jax.parallel import sharding
from msflow_jax.parallel.startup import start_jax

config = load_config(["--config=quickstart", *changes])
start_jax(config.train.batch)
print(jax.devices()[0].platform, jax.devices())
mesh = sharding.make_mesh(**config.train.mesh)
print(sharding.describe(mesh, config.train.batch, config.train.sharding))

# %% [markdown]
# ## Train, evaluate, report
#
# The command `msflow train`, called from Python. Run the cell again after an interruption and it
# goes on where it was. The test split is evaluated once, at the end.

# %%
from msflow_jax.commands.train import main as train

train(["--config=quickstart", *changes, f"--workdir={workdir}"])
print("open", (workdir / "report" / "index.html").resolve())

# %% [markdown]
# ## Classify, and abstain
#
# A workdir opens in one line. Label noise is drawn several times for each image and the draws are
# pooled. `distance` says how far the label that emerged lies from the nearest class; the larger,
# the less certain. `abstains` rejects the images beyond a threshold under which 80 % of the
# validation images lie.

# %%
from IPython.display import Image, display

import msflow_jax
from msflow_jax import data
from msflow_jax.reports.figures import save_grid

flow = msflow_jax.open(workdir)
test = data.load(flow.config.data).test
prediction = flow.classify(test.images)
distance = prediction.uncertainty["distance"]
rejected = flow.abstains(prediction, coverage=0.8)
right = prediction.prediction == test.labels
print(f"{len(test)} test images: accuracy {right.mean():.3f}")
if not rejected.all():
    print(f"{rejected.mean():.0%} rejected; of the rest {right[~rejected].mean():.3f} are right")
order = distance.argsort()
shown = [*order[:8], *order[-8:]]
print("the 8 most certain images, then the 8 least certain ones:")
for i in shown:
    true, said = flow.classes[test.labels[i]], prediction.names[i]
    words = "rejected" if rejected[i] else ""
    print(f"true {true:9} predicted {said:9} p {prediction.probability[i].max():.2f}  "
          f"distance {distance[i]:.3f} {words}")  # fmt: skip
picture = save_grid(
    workdir / "pictures" / "certain_and_uncertain.png",
    test.images[shown], prediction.prediction[shown], flow.classes,
)  # fmt: skip
display(Image(filename=picture))

# %% [markdown]
# ## Draw
#
# The same network, run the other way: from noise to an image of a class. First the class that you
# chose, then four of each.

# %%
drawn = flow.generate(wanted, 8)
label = flow.classes.index(wanted)
picture = save_grid(
    workdir / "pictures" / "drawn.png", drawn, [label] * len(drawn), flow.classes
)  # fmt: skip
display(Image(filename=picture))

# %%
drawn = flow.generate(flow.classes, 4)
labels = [k for k in range(len(flow.classes)) for _ in range(4)]
picture = save_grid(
    workdir / "pictures" / "classes.png", drawn, labels, flow.classes, per_row=4
)  # fmt: skip
display(Image(filename=picture))

# %% [markdown]
# Heads should have a skull, a mid-line and bright lesions, few where they are mild and many where
# they are severe; with more steps (`changes`) they are drawn better. What this model was measured
# to reach is in `docs/results.md`. Next: your own images (`02_own_images`), or `msflow configs` for
# other configurations.
