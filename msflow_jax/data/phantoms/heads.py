"""Head phantoms: slices of synthetic subjects with white-matter lesions of known extent.

NOT patients: every image is computed. The anatomy is a real average (``anatomy``), bent by a smooth
warp for each subject; the grey values follow from relaxation times (``signals``); lesions are drawn.

Three tasks read different labels off the same heads:

* ``grade``, of the disease. Each subject has a severity in [0, 1], drawn continuously (thinner near
  ``THRESHOLDS``), and the grade is that severity cut there. Number, size and strength of the lesions
  grow with it but are drawn, so that the grade of a slice near a threshold is really uncertain: with the
  default settings the true lesion area tells the grade of 93 and 89 % of the test slices, and a small
  convolutional network reached 86 and 84 % (seeds 0 and 1).
* ``scanner``, which of seven simulated machines of unequal frequency made the slice (``scanners``). A
  subject meets one machine, in its state of the day. The network reached 88 and 89 % of the test
  slices; 78 and 83 % as the mean of the classes, since two pairs of machines are nearly alike.
* ``contrast``, in which of the six ``signals.SEQUENCES`` the slice was taken. A subject's slices differ
  in it; over all slices the contrasts are equally frequent, and the network confuses next to none.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import Info, Split, Splits, digest
from msflow_jax.data.phantoms import anatomy, volumes
from msflow_jax.data.phantoms.caching import TRUTH, Arrays, kept, make_all, truth_of
from msflow_jax.data.phantoms.scanners import SCANNERS, Scanner, shading
from msflow_jax.data.phantoms.signals import SEQUENCES, TISSUES, grey_levels, rician
from msflow_jax.data.phantoms.subjects import CENTRE, Subject, draw_subject
from msflow_jax.data.phantoms.tasks import (
    LICENCE,
    MAP_CLASSES,
    OF_CONTRASTS,
    SIGNALS,
    STATES,
    TASKS,
    check,
    cut,
    deal,
    grade_of,
    tissue_map,
    with_grade,
)
from msflow_jax.data.phantoms.volumes import FIELD
from msflow_jax.data.pixel_sizes import as_facts
from msflow_jax.data.sources.fitting import convert_channels

SIDE = 32


def load(config: ConfigDict) -> Splits:
    """Makes the phantoms: ``subjects * slices`` images, split by subject, from ``config.seed`` alone.

    With ``config.dims`` 3 it is one volume per subject, of the same heads and with the same split.

    Args:
        config: the data config; ``side`` 0 means 32, ``channels`` 0 means 1. In
            ``config.phantoms``: ``task`` (``TASKS``), ``contrast`` (``signals.SEQUENCES``; the task
            ``contrast`` takes them all and ignores this), ``subjects``, ``slices`` per subject,
            ``noise`` (standard deviation as a share of white), ``bias`` (spread of the shading) and
            ``cache`` (whether they are kept on disk). The heads depend on none of ``task``,
            ``contrast``, ``noise`` and ``bias``.

    Returns:
        Splits with ``maps`` (``MAP_CLASSES`` per pixel) and ``truth``: severity in [0, 1], grade,
        subject number; of slices ``lesion_area`` in mm^2, height and size of a pixel in mm, of
        volumes ``lesion_volume`` in mm^3. They are stratified by grade, or by machine where that is the
        label.

    Raises:
        ValueError: for a setting outside its range, by name.
    """
    settings, side, dims = config.phantoms, config.side or SIDE, config.dims
    check(config, side, dims)
    _check_cohort(config)
    facts = {
        "kind": "images", "dims": dims, "side": side, "seed": config.seed, "task": settings.task,
        "contrast": "" if settings.task in OF_CONTRASTS else settings.contrast,
        "subjects": settings.subjects, "slices": settings.slices, "noise": settings.noise,
        "bias": settings.bias,
    }  # fmt: skip
    found = kept(facts, partial(_make, settings, config.seed, side, dims), settings.cache)
    truth = truth_of(found)
    if dims == 2:
        truth |= as_facts(np.full((len(found["image"]), 2), FIELD / side))
    whole = Split(
        arrays={
            "image": convert_channels(found["image"], config.channels),
            "label": found["label"],
            "map": found["map"],
        },
        names=tuple(found["names"].tolist()),
        truth=truth,
        groups=tuple(f"subject{number:05d}" for number in truth["subject"]),
    )
    train, val, test = cut(
        whole, whole.labels if settings.task == "scanner" else truth["grade"], config.seed
    )
    task = TASKS[settings.task]
    contrast = "all contrasts" if settings.task in OF_CONTRASTS else settings.contrast
    info = Info(
        name="phantoms",
        classes=task.classes,
        channels=whole.images.shape[-1],
        side=side,
        space=(side,) * 3 if dims == 3 else (),
        spacing=volumes.voxel(side) if dims == 3 else (),
        task=task.kind,
        licence=LICENCE,
        md5=digest(whole.images.tobytes(), whole.labels.tobytes()),
        source=f"phantoms by {settings.task}, seed {config.seed}, {contrast}, not patients",
        flips=task.flips,
        map_classes=MAP_CLASSES,
        fit=config.fit,
    )
    return Splits(train, val, test, info)


def _check_cohort(config: ConfigDict) -> None:
    """Refuses what only phantom cohorts have, which would change nothing here."""
    cut_by = (*config.slices.values(), config.phantoms.withhold)
    if config.modality or cut_by != ("axial", 0.0, 1.0, 0.0, "none"):
        raise ValueError(
            "data.modality, data.slices and data.phantoms.withhold are of phantom_cohort; phantoms have "
            "data.phantoms.contrast and data.phantoms.slices"
        )


def _make(settings: ConfigDict, seed: int, side: int, dims: int) -> Arrays:
    """Every image with what goes with it; about a second beside the images."""
    head = anatomy.load_whole(side) if dims == 3 else anatomy.load(spacing=2 if side <= 64 else 1)
    make, images = (_volume, 1) if dims == 3 else (_slices, settings.slices)
    labels = deal(settings, seed, images)
    return make_all(
        lambda number: make(head, number, seed, side, settings, labels[number]),
        settings.subjects, "Making phantoms", 8 if dims == 3 else images,
    )  # fmt: skip


def shares(head: anatomy.Anatomy, subject: Subject, height: float, side: int) -> np.ndarray:
    """Returns what each pixel of a slice holds: ``[side, side, 6]``, in the order of ``TISSUES``.

    Rows run from front to back, columns from the patient's right to left, as radiologists view
    it. Four points a pixel are sampled; what is missing to a sum of 1 is air.
    """
    fine = 2 * side
    axis = FIELD * ((np.arange(fine) + 0.5) / fine - 0.5)
    y, x = np.meshgrid(CENTRE[1] - axis, CENTRE[0] - axis, indexing="ij")
    points = np.stack([x.ravel(), y.ravel(), np.full(x.size, height)])
    points = subject.to_template(points)
    grey, white = (v.sample(points, 0.0) for v in (head.grey, head.white))
    away = head.distance.sample(points, 100.0)
    limits = [anatomy.within(away, edge) for edge in subject.shells]
    strength = subject.lesions.strength(points)
    stack = np.stack(anatomy.mixture(grey, white, limits, strength), axis=-1)
    return stack.reshape(side, 2, side, 2, len(TISSUES)).mean(axis=(1, 3))


def _slices(
    head: anatomy.Anatomy,
    number: int,
    seed: int,
    side: int,
    settings: ConfigDict,
    labels: np.ndarray,
) -> Arrays:
    """Makes one subject's slices; ``labels`` are those of ``deal``."""
    rng = np.random.default_rng((seed, number))
    subject = draw_subject(rng, head, settings.slices)
    content = np.stack([shares(head, subject, h, side) for h in subject.heights])
    count = len(content)
    contrasts, machine, labels = _acquisition(subject, number, seed, settings, labels)
    clean = machine.apply_sequence(content, subject.relaxation, contrasts)
    shaded = machine.apply_coil(clean * shading(rng, count, side, settings.bias), FIELD)
    seen = machine.show(rician(shaded, settings.noise * machine.noise, rng))
    area = content[..., -1].sum(axis=(1, 2)) * (FIELD / side) ** 2
    return {
        **_common(subject, number, content, labels),
        "image": grey_levels(seen)[..., None],
        "names": np.array([f"subject{number:05d}/slice{i:02d}" for i in range(count)]),
        "truth.lesion_area": area,
        "truth.height": subject.heights,
    }


def _volume(
    head: anatomy.Anatomy,
    number: int,
    seed: int,
    side: int,
    settings: ConfigDict,
    labels: np.ndarray,
) -> Arrays:
    """Makes one subject's volume; ``labels`` are those of ``deal``."""
    subject = draw_subject(np.random.default_rng((seed, number)), head, settings.slices)
    content = volumes.content(head, subject, side)
    contrasts, machine, labels = _acquisition(subject, number, seed, settings, labels)
    contrast = str(contrasts[0])
    rng = np.random.default_rng((seed, number, SIGNALS, tuple(SEQUENCES).index(contrast)))
    seen = volumes.magnitudes(
        content, subject, contrast, rng, settings.noise, settings.bias, machine
    )
    return {
        **_common(subject, number, content[None], labels),
        "image": grey_levels(seen)[None, ..., None],
        "names": np.array([f"subject{number:05d}"]),
        "truth.lesion_volume": np.array([volumes.lesion_volume(content)]),
    }


def _common(subject: Subject, number: int, content: np.ndarray, labels: np.ndarray) -> Arrays:
    """What is known of each image of a subject; ``content`` ``[N, *space, 6]``, ``labels`` ``[N]``."""
    known = {"severity": subject.severity, "grade": grade_of(subject), "subject": number}
    return {
        "label": labels.astype(np.int32),
        "map": tissue_map(content),
        **{f"{TRUTH}{name}": np.full(len(content), value) for name, value in known.items()},
    }


def _acquisition(
    subject: Subject, number: int, seed: int, settings: ConfigDict, labels: np.ndarray
) -> tuple[np.ndarray, Scanner, np.ndarray]:
    """Contrast of each image, the machine that made them, and their labels."""
    contrasts, machine = np.full(len(labels), settings.contrast), Scanner()
    if settings.task == "grade":
        labels = np.full(len(labels), grade_of(subject))
    elif settings.task == "scanner":
        machine = tuple(SCANNERS.values())[labels[0]]
        machine = machine.varied(np.random.default_rng((seed, number, STATES)))
    else:
        contrasts = np.array(tuple(SEQUENCES))[labels]
        labels = with_grade(settings.task, labels, grade_of(subject))
    return contrasts, machine, labels
