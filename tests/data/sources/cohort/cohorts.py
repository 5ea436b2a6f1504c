"""Small cohorts on disk: volumes as NIfTI, X-rays as PNG, a table."""

import numpy as np
from PIL import Image

from msflow_jax import data
from msflow_jax.data.sources.nifti.writing import write_nifti

SPACE = (5, 8, 8)
COUNT = 12
NAMES = ("train", "val", "test")


def volume(seed, space=SPACE, dtype=np.uint8, low=0, high=256):
    """A random volume ``[D, H, W]``."""
    return np.random.default_rng(seed).integers(low, high, space).astype(dtype)


def save(path, values, **where):
    """Writes ``[D, H, W]`` as NIfTI, ``[H, W]`` as PNG; returns the path as a table names it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if values.ndim == 2:
        Image.fromarray(values).save(path)
    else:
        write_nifti(path, values, **where)
    return path.name


def table(folder, rows, name="table.csv"):
    """Writes dicts as a CSV; returns its path."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [",".join(columns)]
    lines += [
        ",".join(f'"{row.get(c, "")}"' if row.get(c, "") else "" for c in columns) for row in rows
    ]
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def cohort(folder, count=COUNT, **columns):
    """A row per subject: T1w of 8 bits, CT in Hounsfield units of two thirds, an X-ray of half.

    ``columns`` are further ones: a function of the row's number each; None takes a column out.
    """
    rows = []
    for i in range(count):
        row = {"t1w": save(folder / f"t1_{i}.nii.gz", volume(i), spacing=(3, 1, 1))}
        if i % 3:
            hu = volume(100 + i, dtype=np.int16, low=-1024, high=1500)
            row["ct"] = save(folder / f"ct_{i}.nii.gz", hu, spacing=(3, 1, 1))
        if i % 2:
            row["xray"] = save(folder / f"x_{i}.png", volume(200 + i, (8, 8)))
        row |= {"label": f"grade{i % 2}", "subject": f"P{i // 2}", "age": str(40 + i)}
        row |= {name: make(i) for name, make in columns.items() if make is not None}
        rows.append({k: v for k, v in row.items() if k not in columns or columns[k] is not None})
    return rows


def load(root, **settings):
    """Loads a cohort; ``slices`` is a dict of its settings."""
    config = data.default_config("cohort")
    slices = settings.pop("slices", {})
    config.update({"root": str(root), "dims": 3, **settings})
    config.slices.update(slices)
    return data.load(config)


def number(name):
    """The row of an example, by its file."""
    return int(name.partition(".")[0].partition("_")[2])
