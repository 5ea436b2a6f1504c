"""A cohort of phantoms: every head in all modalities, with a report whose facts are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import SPLITS, Info, Split, Splits, digest
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.phantoms import reports, volumes
from msflow_jax.data.phantoms.caching import Arrays, kept, truth_of
from msflow_jax.data.phantoms.examinations import CT, MODALITIES, REPORT, XRAY, examine_all
from msflow_jax.data.phantoms.signals import SEQUENCES
from msflow_jax.data.phantoms.tasks import (
    LICENCE,
    MAP_CLASSES,
    REPORTS,
    TASKS,
    WITHHELD,
    check,
    cut,
)
from msflow_jax.data.slices import SLICE, VOLUME, Slices
from msflow_jax.data.sources.fitting import convert_channels
from msflow_jax.storage.text import listed

SIDE = 32
SET = "set"  # fact: which of ``SETS`` an example is in, -1: it has everything
# What the subjects of each set have, where ``withhold`` is ``disjoint``.
SETS = ((REPORT, XRAY), (REPORT, CT), (CT, *SEQUENCES))


def load(config: ConfigDict) -> Splits:
    """Makes a cohort of ``subjects`` phantoms, the heads of ``phantoms`` of the same seed and splits.

    With ``data.modality`` its images are the array ``image`` of the subjects that have it; otherwise
    each of ``MODALITIES`` is an array under its own name. With ``dims`` 3 they are volumes (the X-ray is
    a picture), with 2 slices of them where ``data.slices`` says, at equal places in all modalities and
    with the X-ray of their subject.

    Args:
        config: the data config; ``side`` 0 means 32. CT is shown in ``window``. In ``config.phantoms``:
            ``subjects``, ``noise``, ``bias``, ``view`` of the X-ray, and ``withhold``: ``disjoint``
            deals the subjects of train and val to ``SETS``, while those of test keep everything, so
            that what was never seen together can be measured.

    Returns:
        Splits labelled by grade, with ``maps`` (not with the X-ray alone) and ``truth``: severity,
        grade, ``lesion_volume`` in mm^3, subject, set, the text ``report`` (empty: withheld) and the
        facts that it states as ``fact_...``; of slices also ``volume`` and ``slice``.

    Raises:
        ValueError: a setting outside its range, or one that phantom cohorts do not have.
    """
    settings, side = config.phantoms, config.side or SIDE
    found = make(config)
    window = Intensity("window", float(config.window[0]), float(config.window[1]), "HU")
    found = {**found, CT: window.to_grey(found[CT])}
    # Of what is shown alone: latents are kept by it, and those of T1 are none of FLAIR.
    shown = (config.modality,) if config.modality else MODALITIES
    made = digest(*(np.ascontiguousarray(found[name]).data for name in (*shown, "label")))
    whole = _split(found, config.channels)
    parts = []
    for name, part in zip(SPLITS, cut(whole, found["label"], config.seed), strict=True):
        if settings.withhold == "disjoint" and name != "test":
            part = _withheld(part, config.seed)
        if config.dims == 2:
            part = _cut_slices(part, Slices.of(config.slices), side, config.seed)
        parts.append(_chosen(part, config.modality))
    train, val, test = parts
    info = _info(config, train, side, made, window)
    return Splits(train, val, test, info)


def make(config: ConfigDict, stored: bool = False) -> Arrays:
    """What all subjects are, as ``examinations.examine`` gives it: read from disk, or made.

    Args:
        config: as for :func:`load`.
        stored: whether MR has the values that a scanner stores, instead of grey levels.

    Raises:
        ValueError: as :func:`load`.
    """
    settings, side = config.phantoms, config.side or SIDE
    check(config, side, 3)
    _check(config)
    facts = {
        "kind": "cohort", "side": side, "seed": config.seed, "subjects": settings.subjects,
        "slices": settings.slices, "noise": settings.noise, "bias": settings.bias,
        "view": settings.view,
    }  # fmt: skip
    if stored:
        facts["kind"] = "stored cohort"
    made = partial(examine_all, settings, config.seed, side, stored)
    return kept(facts, made, settings.cache)


def _check(config: ConfigDict) -> None:
    settings = config.phantoms
    if settings.task != "grade":
        raise ValueError(
            f"phantoms.task={settings.task}: a phantom cohort is labelled by grade; the other tasks are "
            "of --config.data.name=phantoms"
        )
    if config.modality and config.modality not in MODALITIES:
        raise ValueError(
            f"data.modality={config.modality!r}; a phantom cohort has {listed(MODALITIES)}"
        )


def _split(found: Mapping[str, np.ndarray], channels: int) -> Split:
    truth = truth_of(found)
    groups = tuple(f"subject{number:05d}" for number in truth["subject"])
    images = {name: convert_channels(found[name], channels) for name in MODALITIES}
    return Split(
        {**images, "label": found["label"], "map": found["map"]},
        names=groups,
        groups=groups,
        truth={**truth, SET: np.full(len(groups), -1)},
        kinds=dict.fromkeys(MODALITIES, "image"),
    )


def sets(subjects: np.ndarray, seed: int) -> np.ndarray:
    """Deals subjects, by their numbers, to ``SETS``: each once among any three from 3 k on."""
    blocks = np.tile(np.arange(len(SETS)), (int(subjects.max(initial=0)) // len(SETS) + 1, 1))
    dealt = np.random.default_rng((seed, 0, WITHHELD)).permuted(blocks, axis=1)
    return dealt.ravel()[subjects]


def _withheld(part: Split, seed: int) -> Split:
    """A split whose subjects have only what their set has: zeros elsewhere, and no text."""
    truth = dict(part.truth or {})
    mine = sets(truth["subject"], seed)
    has = {
        name: np.isin(mine, [k for k, one in enumerate(SETS) if name in one])
        for name in (*MODALITIES, REPORT)
    }
    arrays = dict(part.arrays)
    for name in MODALITIES:
        arrays[name] = arrays[name].copy()
        arrays[name][~has[name]] = 0
    truth |= {SET: mine, REPORT: np.where(has.pop(REPORT), truth[REPORT], "")}
    return dataclasses.replace(part, arrays=arrays, truth=truth, present=has)


def _cut_slices(part: Split, slices: Slices, side: int, seed: int) -> Split:
    """The slices of every volume, those of a subject one after the other.

    Each has a report of its own: the facts of its subject in other words, the first in those of the
    volume. From one phrasing a subject a model learns phrasings instead of facts.
    """
    numbers = slices.numbers((side,) * 3, volumes.voxel(side), "the phantom cohort")
    of = np.repeat(np.arange(len(part)), len(numbers))
    spread = dataclasses.replace(part, arrays={"label": part.labels}, kinds={}, present={}).take(of)
    arrays = {"label": spread.labels, XRAY: part.arrays[XRAY][of]}
    for name, array in part.arrays.items():
        if name not in arrays:
            whole = array if array.ndim == 5 else array[..., None]  # a map has no channels
            taken = np.stack([slices.take(one, k) for one in whole for k in numbers])
            arrays[name] = taken if array.ndim == 5 else taken[..., 0]
    number = np.tile(numbers, len(part))
    return dataclasses.replace(
        spread,
        arrays={name: arrays[name] for name in part.arrays},
        names=tuple(
            f"{name}/{slices.axis}{k:03d}" for name, k in zip(spread.names, number, strict=True)
        ),
        truth={
            **(spread.truth or {}),
            VOLUME: (spread.truth or {})["subject"],
            SLICE: number,
            REPORT: _in_other_words(spread.truth or {}, len(numbers), seed),
        },
        kinds=part.kinds,
        present={name: has[of] for name, has in part.present.items()},
    )


def _in_other_words(truth: Mapping[str, np.ndarray], slices: int, seed: int) -> np.ndarray:
    """The reports of slices, of which each subject has so many, one after the other."""
    texts = []
    for i, (text, subject) in enumerate(zip(truth[REPORT], truth["subject"], strict=True)):
        if (k := i % slices) and text:
            rng = np.random.default_rng((seed, int(subject), REPORTS, k))
            text = reports.write(reports.parse(str(text)), rng)
        texts.append(str(text))
    return np.array(texts)


def _chosen(part: Split, modality: str) -> Split:
    """A split of one modality, called ``image``; with "" of all."""
    if not modality:
        return part
    arrays = {"image": part.arrays[modality], "label": part.labels}
    if modality != XRAY:
        arrays["map"] = part.arrays["map"]
    has = part.present.get(modality, np.ones(len(part), bool))
    return dataclasses.replace(part, arrays=arrays, kinds={}, present={}).take(np.flatnonzero(has))


def _info(config: ConfigDict, train: Split, side: int, made: str, window: Intensity) -> Info:
    """The facts on the cohort; of several modalities those of its volumes, or slices."""
    volume = config.dims == 3 and config.modality != XRAY
    axes = volumes.voxel(side) if volume else Slices.of(config.slices).pixel(volumes.voxel(side))
    single = config.modality in (CT, *SEQUENCES, XRAY)
    task, modalities = TASKS["grade"], {}
    if not single:
        words = {"label": task.classes, "map": MAP_CLASSES}
        modalities = {
            name: dataclasses.replace(one, names=words.get(name, ()))
            for name, one in train.modalities.items()
        }
    of = config.modality or "all modalities"
    intensities = {} if single and config.modality != CT else {"image" if single else CT: window}
    return Info(
        name=config.name,
        classes=task.classes,
        channels=config.channels or 1,
        side=side,
        space=(side,) * 3 if volume else (),
        spacing=(volumes.FIELD / side,) * 2 if config.modality == XRAY else axes,
        task=task.kind,
        licence=LICENCE,
        md5=made,
        source=f"phantom cohort, seed {config.seed}, {of}, not patients",
        # Reports name sides, and a mirrored head has another; one modality alone has none.
        flips=task.flips if single else (),
        map_classes=() if config.modality == XRAY else MAP_CLASSES,
        modalities=modalities,
        intensities=intensities,
        fit=config.fit,
    )
