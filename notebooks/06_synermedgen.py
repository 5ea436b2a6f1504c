# %% [markdown]
# # SynerMedGen's experiment in small: questions first, then drawing
#
# SynerMedGen ([arXiv 2605.08724](https://arxiv.org/abs/2605.08724)) first teaches a model to answer
# questions built out of paired scans, then to draw. Here drawing never sees a pair: what it can
# translate comes from the questions.
#
# **At the end** you have built such questions on head phantoms (computed, not patients) and looked
# at one, trained understanding and then drawing from single images, and translated zero-shot,
# beside a mean image, a tone curve that was fitted on pairs, and the truth.
#
# **The result is not here.** Three seeds, controls, lesions and what was written down before the
# runs are in docs/synermedgen.md. **Time**: not measured for this part alone; docs/synermedgen.md
# has that of whole runs.
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
source, target = "t1w", "ct"
asked = 200  # questions that are answered after training
# Of the cohort, as the configuration has them; the questions are built on the same.
subjects, side, spacing, modalities = 360, 32, 8.0, ("ct", "t1w", "t2w", "pdw", "flair")
changes = []
if small:
    asked, subjects, side, spacing, modalities = 12, 40, 16, 16.0, ("ct", "t1w", "t2w")
    changes = [
        "--config.model.tasks.instances=16",
        "--config.model.tasks.withhold=()",
        "--config.model.encoder.width=4",
        "--config.model.encoder.look_width=4",
        "--config.model.expert.width=8",
        "--config.model.expert.depth=1",
        "--config.model.expert.heads=1",
        "--config.model.expert.pairs=1",
        "--config.model.expert.size=8",
        "--config.model.expert.hidden=8",
        "--config.train.batch=4",
        "--config.train.steps=2",
        "--config.train.eval_every=2",
        "--config.train.writers=()",
        "--config.sample.batch=4",
        "--config.sample.translate.steps=1",
        "--config.sample.translate.draws=2",
        "--config.sample.evaluate.routes=()",
    ]
# Without the controls of an evaluation, which are trained too.
changes += [
    f"--config.data.phantoms.subjects={subjects}",
    f"--config.data.side={side}",
    f"--config.data.slices.spacing={spacing}",
    f"--config.model.modalities={modalities}",
    "--config.model.regression.routes=()",
    "--config.model.segmenter.modalities=()",
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
workdir = runs / "synermedgen"
questions = runs / f"questions_{asked}_of_{subjects}_subjects_{side}"

# %% [markdown]
# ## Devices
#
# On a CPU its cores become JAX's devices. Training splits each batch over all devices.

# %%
import jax

from msflow_jax.config import load_config
from msflow_jax.parallel import sharding
from msflow_jax.parallel.startup import start_jax

given = ["--config=synermedgen_phantom:zero_shot", *changes]
config = load_config(given)
start_jax(config.train.batch)
print(jax.devices()[0].platform, jax.devices())
mesh = sharding.make_mesh(**config.train.mesh)
print(sharding.describe(mesh, config.train.batch, config.train.sharding))

# %% [markdown]
# ## Questions
#
# *Selection*: which of four slices is this one, in another modality. *Identification*: the modality
# of each panel. *Instruction*: which description leads from one image to the other. Written in the
# public JSONL format, of test subjects, in phrasings that training does not have. Training makes
# its own as it goes.

# %%
import numpy as np
import PIL.Image
from IPython.display import Image, display

from msflow_jax.commands.build_understanding import main as build
from msflow_jax.reports.figures import save_grid
from msflow_jax.synergy import jsonl

slices, withheld = config.data.slices, config.model.tasks.withhold
if not questions.exists():
    build([
        "phantoms", str(questions), f"--count={asked}", f"--subjects={subjects}", f"--side={side}",
        f"--gap={spacing}", f"--first={slices.first}", f"--last={slices.last}", "--split=test",
        "--held-out", "--modalities", *modalities, *(["--withhold", *withheld] if withheld else []),
    ])  # fmt: skip
lines = jsonl.read(questions / jsonl.FILE)
one = next(line for line in lines if line.id.startswith("selection"))
print(one.prompt, "\n\nanswer:", one.reply)
panels = np.stack([np.asarray(PIL.Image.open(path)) for path in one.images])[..., None]
titles = ("this slice", "A", "B", "C", "D")
picture = save_grid(
    workdir.parent / "pictures" / "question.png", panels, range(len(panels)), titles
)  # fmt: skip
display(Image(filename=picture))

# %% [markdown]
# ## Train: understand, then reconstruct
#
# `understand` learns from questions. `reconstruct` learns to draw a single image from its own
# content and look, while understanding stays as it is. Run the cell again after an interruption and
# it goes on where it was.

# %%
from msflow_jax.commands.train import main as train

train([*given, f"--workdir={workdir}", "--no-evaluate"])

# %% [markdown]
# ## Answers
#
# To the questions above, by comparing what the encoders see (the direct form). Chance is 0.25; of
# an identification, each panel counts.

# %%
from msflow_jax.commands.answer import answer

scores = answer(workdir, questions / jsonl.FILE, runs / "answers.csv")
print(scores)

# %% [markdown]
# ## Translate zero-shot
#
# The content of one image, and the name of another modality: these two never came together in
# training. Beside it what simple methods do: the mean of all training images of the target, and a
# tone curve, the best map from grey value to grey value, fitted on training *pairs*, which the
# model did not have.

# %%
import msflow_jax
from msflow_jax import data
from msflow_jax.evaluation.translation import mean_image, tone_curve

flow = msflow_jax.open(workdir)
splits = data.load(flow.config.data)
train_images, test = splits.train.arrays, splits.test
rows = np.linspace(0, len(test) - 1, 32).astype(int)
images, truth = (test.arrays[name][rows] for name in (source, target))
draws = flow.translate({source: images}, target)
mean = mean_image(train_images[target])
curve = 255 * tone_curve(train_images[source], train_images[target])
methods = {
    "mean image": np.broadcast_to(mean, images.shape),
    "tone curve": curve[images],
    f"mean of {len(draws)} draws": draws.mean(axis=0),
}
for name, drawn in methods.items():
    error = np.square((drawn - truth) / 255.0).mean(axis=(1, 2, 3))
    print(f"{source} to {target}, {name:16} PSNR {np.mean(-10 * np.log10(error)):.1f} dB")
columns = {source: images, **methods, f"true {target}": truth}
shown = [0, 10, 20, 30]
stacked = np.stack(
    [np.clip(np.rint(x), 0, 255).astype(np.uint8)[shown] for x in columns.values()], axis=1
)
picture = save_grid(
    workdir / "pictures" / "translated.png",
    stacked.reshape(-1, *images.shape[1:]), [*range(len(columns))] * len(shown), tuple(columns),
    per_row=len(columns),
)  # fmt: skip
display(Image(filename=picture))

# %% [markdown]
# At the small settings of a test this shows that the parts run, and no more; at the settings above
# it shows the mechanism, once, on one route. What the experiment found, against which controls,
# with which intervals, and what it cannot do (lesions are not drawn): `docs/synermedgen.md`.
