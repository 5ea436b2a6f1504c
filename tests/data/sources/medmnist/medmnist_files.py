"""Files as MedMNIST's: small ones made in a test, and how they are loaded."""

import warnings

import numpy as np

from msflow_jax import data

SIZES = {"train": 7, "val": 3, "test": 4}


def arrays(side=28, channels=1, dims=2, **changes):
    rng = np.random.default_rng(0)
    shape = (side,) * dims if channels == 1 else (side, side, channels)
    made = {}
    for split, count in SIZES.items():
        made[f"{split}_images"] = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
        made[f"{split}_labels"] = rng.integers(0, 2, (count, 1), dtype=np.uint8)
    made.update(changes)
    return {k: v for k, v in made.items() if v is not None}


def write(path, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays(**kwargs))
    return path


def config(root, name="breastmnist", **fields):
    made = data.default_config(name)
    made.root = str(root)
    made.update(fields)
    return made


def load(root, name="breastmnist", **fields):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return data.load(config(root, name, **fields))
