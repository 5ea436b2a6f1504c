# %% [markdown]
# # Translation and reports: one model of several modalities
#
# **At the end** you have trained MedM2G's diffusers in small on head phantoms (computed, not
# patients), drawn CT of MR with a spread that says how sure the drawing is, written reports of CT,
# drawn CT of a report, and found the CT that belongs to an MR.
#
# **Time**: the configuration as it stands, with the controls that are left out here, took 41
# minutes on two CPU cores while tests ran beside it (docs/medm2g.md). On a GPU or TPU it was not
# measured.
#
# **What to expect** is in docs/medm2g.md with its figures: translation beside a plain U-Net,
# reports that say hardly more than the most frequent one, lesions that are not carried over.
# Phantoms of 32 pixels say nothing of patients.
#
# *Research software, not a medical device: it must not be used to diagnose or to treat.*

# %%
# Installs msflow_jax where it, or what this notebook needs beside it, is not there, with what JAX
# needs for a GPU or TPU.
import importlib.util
import shutil
from pathlib import Path

SOURCE = ""  # the repository's address; tools/make_notebooks.py writes setup.cfg's url here
NEEDS = {"tokenizers": "text"}  # extras by a module that each of them brings
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
text = "There is one lesion."
# Without the controls of an evaluation, which are trained too.
changes = [
    "--config.model.regression.routes=()",
    "--config.model.segmenter.modalities=()",
    "--config.model.decoder.sources=()",
]
if small:
    changes += [
        "--config.data.side=16",
        "--config.data.phantoms.subjects=40",
        "--config.data.slices.spacing=40",
        "--config.model.modalities=('report','ct','t1w')",
        "--config.model.links=('ct-report','t1w-ct')",
        "--config.model.curriculum=joint",
        "--config.model.net.width=16",
        "--config.model.net.depth=1",
        "--config.model.net.head_channels=8",
        "--config.model.align.encoder=vit",
        "--config.model.align.depth=1",
        "--config.model.align.heads=1",
        "--config.model.align.patch=8",
        "--config.model.align.width=1",
        "--config.model.align.features=8",
        "--config.model.frozen_trunks=True",
        "--config.model.text.width=16",
        "--config.model.text.depth=1",
        "--config.model.context.width=4",
        "--config.model.context.side=2",
        "--config.train.batch=4",
        "--config.train.steps=2",
        "--config.train.eval_every=2",
        "--config.train.writers=()",
        "--config.sample.batch=4",
        "--config.sample.evaluate.routes=()",
        "--config.sample.translate.steps=1",
        "--config.sample.translate.draws=2",
        "--config.sample.generate.steps=1",
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
workdir = runs / "translation"

# %% [markdown]
# ## Devices
#
# On a CPU its cores become JAX's devices. Training splits each batch over all devices.

# %%
import jax

from msflow_jax.config import load_config
from msflow_jax.parallel import sharding
from msflow_jax.parallel.startup import start_jax

config = load_config(["--config=medm2g_phantom", *changes])
start_jax(config.train.batch)
print(jax.devices()[0].platform, jax.devices())
mesh = sharding.make_mesh(**config.train.mesh)
print(sharding.describe(mesh, config.train.batch, config.train.sharding))

# %% [markdown]
# ## Train
#
# One stage after another: a codec of reports, encoders that are aligned, a diffuser for each
# modality, links between them. Run the cell again after an interruption and it goes on where it
# was.

# %%
from msflow_jax.commands.train import main as train

train(["--config=medm2g_phantom", *changes, f"--workdir={workdir}", "--no-evaluate"])

# %% [markdown]
# ## Translate
#
# CT of T1-weighted MR, several draws each. Their mean is the estimate, their spread says where it
# may be wrong.

# %%
import numpy as np
from IPython.display import Image, display

import msflow_jax
from msflow_jax import data
from msflow_jax.reports.figures import save_grid

flow = msflow_jax.open(workdir)
test = data.load(flow.config.data).test
mr, ct = (test.arrays[name][:4] for name in ("t1w", "ct"))
draws = flow.translate({"t1w": mr}, "ct")
mean = draws.mean(axis=0)
spread = np.clip(4 * draws.std(axis=0), 0, 255)  # white: a quarter of the range
error = np.square((mean - ct) / 255).mean(axis=(1, 2, 3))
print(f"{len(draws)} draws each; PSNR of their mean, dB:", *np.round(-10 * np.log10(error), 1))
columns = {"T1": mr, "CT, mean": mean, "CT, one draw": draws[0], "spread": spread, "true CT": ct}
picture = save_grid(
    workdir / "pictures" / "translated.png",
    np.stack([np.rint(x).astype(np.uint8) for x in columns.values()], axis=1).reshape(-1, *ct.shape[1:]),
    [*range(len(columns))] * len(ct), tuple(columns), per_row=len(columns),
)  # fmt: skip
display(Image(filename=picture))

# %% [markdown]
# ## Reports
#
# Of CT. The true report is that of the phantom, which has what its image may hardly show.

# %%
texts, logs = flow.report({"ct": ct}, draws=2)
for i in range(len(ct)):
    print(f"written: {texts[0][i]}\n         (log-probability of a token {logs[0, i]:.2f})")
    print(f"true:    {test.truth['report'][i]}\n")

# %% [markdown]
# ## Draw what a report says

# %%
tokens = flow.parts.tokeniser.encode([text], "the notebook")
drawn = flow.generate_modalities(["ct"], 4, sources={"report": tokens}).images["ct"]
picture = save_grid(
    workdir / "pictures" / "of_a_report.png", drawn, [0] * len(drawn), (text,), per_row=4
)  # fmt: skip
display(Image(filename=picture))

# %% [markdown]
# ## Find the CT of an MR
#
# Both are unit vectors of one space; the nearest is found by a product. Each row: an MR, and the
# three nearest CTs of the test split.

# %%
queries, pool = test.arrays["t1w"], test.arrays["ct"]
similarity = flow.embed("t1w", queries) @ flow.embed("ct", pool).T
ranks = (-similarity).argsort(axis=1, kind="stable")
hits = ranks[:, 0] == np.arange(len(queries))
print(
    f"the right one of {len(pool)} comes first for {hits.mean():.1%} (chance {1 / len(pool):.1%})"
)
shown = [image for i in range(4) for image in (queries[i], *pool[ranks[i, :3]])]
titles = []
for i in range(4):
    titles += ["MR", *(f"CT {k}{' (right)' if k == i else ''}" for k in ranks[i, :3])]
picture = save_grid(
    workdir / "pictures" / "found.png", np.stack(shown), range(len(shown)), titles, per_row=4
)  # fmt: skip
display(Image(filename=picture))

# %% [markdown]
# `msflow translate`, `report`, `retrieve` and `generate` do the same with files, of volumes too;
# `msflow evaluate` measures all of it. More, and your own examinations: `docs/medm2g.md`.
