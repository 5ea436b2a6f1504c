"""A flow of 32 channels, 40 images and a run of 12 steps; as a script, on all devices there are."""

import json
import sys
import time
from pathlib import Path

import jax
import numpy as np

from msflow_jax.config import train_config
from msflow_jax.data import Split
from msflow_jax.data.streaming import Stream
from msflow_jax.inference.runners import make_classifier
from msflow_jax.nets.dit import DiT
from msflow_jax.parallel.startup import join_processes
from msflow_jax.symmetric import Code, PixelCodec, SymmetricFlow
from msflow_jax.training import Preempted, Stage, fit
from msflow_jax.training.source import Source
from msflow_jax.training.step import from_items, to_items

FLIPS = ("horizontal",)


def make_flow():
    # What compiles fastest; some of its arrays are large enough to be split by `tensor`.
    net = DiT(channels=3, patch=4, width=32, depth=1, heads=2)
    return SymmetricFlow(net, Code("simplex", 3), ("a", "b", "c"), PixelCodec((8, 8, 1)))


def make_arrays():
    """Images whose class is their brightness."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 40, dtype=np.int32)
    images = rng.normal(60 + 70 * labels[:, None, None, None], 20, (40, 8, 8, 1))
    return {"image": np.clip(images, 0, 255).astype(np.uint8), "label": labels}


def make_config():
    config = train_config()
    config.update({"steps": 12, "batch": 8, "eval_every": 4, "log_every": 1, "shift": 1})
    return config


def make_stage(model, source, config, name="", **settings):
    """The whole training of a model that has `init` and `loss`."""
    settings = {"start": lambda tree: model.init(jax.random.key(config.seed)), **settings}
    return Stage(name, model.loss, source, config, **settings)


def train(workdir, validate=None, workers=None, **changes):
    """With a number of workers the images are not on the device, but read meanwhile."""
    config = make_config()
    config.update(changes)
    arrays = make_arrays()
    source = Source.of_arrays(arrays, flips=FLIPS)
    if workers is not None:
        names = tuple(map(str, range(40)))
        split = Split.of_images(arrays["image"], arrays["label"], names)
        source = Stream(split, workers, FLIPS)
    stage = make_stage(make_flow(), source, config, validate=validate)
    return fit(stage, workdir, progress=False)


def save(checkpoints, state, metrics):
    checkpoints.save(int(state.step), to_items(state), metrics)


def restore(checkpoints, like):
    """The newest state of a checkpoints folder, or None."""
    found = checkpoints.restore(to_items(like))
    return found and from_items(found)


def assert_equal(a, b):
    """Bit for bit."""
    jax.tree.map(np.testing.assert_array_equal, a, b)


def assert_close(a, b):
    """Up to rounding."""
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), a, b)


def distances(params):
    """Readings of 7 images in batches of 4: the last one is padded."""
    classify = make_classifier(make_flow(), seed=3, batch=4)
    return classify(params, make_arrays()["image"][:7]).distances


def main(workdir, changes="{}", distributed=None):
    join_processes(distributed)
    changes = json.loads(changes)
    pause = changes.pop("pause", 0.0)

    def validate(params):
        time.sleep(pause)  # leaves the time to be killed
        assert np.isfinite(distances(params)).all()  # however they are sharded
        return {"val_auc": 0.5}

    try:
        state = train(Path(workdir), validate, **changes)
    except Preempted as stopped:
        print(stopped, file=sys.stderr)
        return
    found = distances(state.ema)
    if jax.process_index() == 0:
        np.save(Path(workdir) / "distances.npy", found)


if __name__ == "__main__":
    main(*sys.argv[1:])
