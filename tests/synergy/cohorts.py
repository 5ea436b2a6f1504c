"""Small cohorts of slices in memory, and tasks out of them."""

import numpy as np

from msflow_jax.data.slices import SLICE, VOLUME
from msflow_jax.data.split import Split
from msflow_jax.synergy.phrases import word
from msflow_jax.synergy.tasks import Tasks

NAMES = ("t1w", "t2w", "flair", "ct")
PAIRED_ARMS = ("aligned", "questions", "permuted", "easy")


def cohort(subjects=5, slices=7, names=NAMES, *, seed=0, side=6, lacks=(), facts=False, first=3):
    """Slices of one volume a subject, shuffled; ``lacks`` are pairs (subject, modality)."""
    rng = np.random.default_rng(seed)
    volume = np.repeat(np.arange(subjects), slices)
    number = np.tile(np.arange(first, first + slices), subjects)
    order = rng.permutation(len(volume))
    volume, number = volume[order], number[order]
    count = len(volume)
    arrays = {n: rng.integers(1, 256, (count, side, side, 1)).astype(np.uint8) for n in names}
    present = {}
    for subject, name in lacks:
        has = present.setdefault(name, np.ones(count, bool))
        has[volume == subject] = False
        arrays[name][volume == subject] = 0
    truth = {VOLUME: np.array([f"v{v}" for v in volume]), SLICE: number}
    if facts:
        truth["fact_lesions"] = np.ones(count, int)
        arrays["map"] = np.where(rng.random((count, side, side)) < 0.02, 5, 1).astype(np.uint8)
    return Split(
        {**arrays, "label": np.zeros(count, np.int32)},
        names=tuple(f"secret{v}/{k}" for v, k in zip(volume, number, strict=True)),
        groups=tuple(f"secret{v}" for v in volume),
        truth=truth,
        kinds=dict.fromkeys(names, "image"),
        present=present,
    )


def tasks(split=None, names=NAMES, **settings):
    """Tasks on a small cohort."""
    words = settings.pop("words", {name: word(name) for name in names})
    return Tasks(cohort() if split is None else split, tuple(names), words, **settings)


def instances(made, count=300):
    """The first instances."""
    return [made.instance(i) for i in range(count)]


def of_task(found, task):
    """Those of one task, of which there are some."""
    some = [one for one in found if one.task == task]
    assert some
    return some
