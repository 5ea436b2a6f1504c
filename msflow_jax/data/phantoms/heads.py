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

import math
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import SPLITS, Info, Split, Splits, digest
from msflow_jax.data.phantoms import anatomy
from msflow_jax.data.phantoms.scanners import SCANNERS, Scanner, allot, shading
from msflow_jax.data.phantoms.signals import SEQUENCES, TISSUES, rician
from msflow_jax.data.phantoms.subjects import CENTRE, GRADES, Subject, draw_subject
from msflow_jax.data.sources.fitting import convert_channels
from msflow_jax.data.splitting import assign
from msflow_jax.progress import track


class Task(NamedTuple):
    """What ``Info`` says of the labels: class names, kind of task, flips that leave them true."""

    classes: tuple[str, ...]
    kind: str
    flips: tuple[str, ...]


TASKS = {
    "grade": Task(GRADES, "ordinal-regression", ("horizontal",)),
    "scanner": Task(tuple(SCANNERS), "multi-class", ()),  # a coil has a side
    "contrast": Task(tuple(SEQUENCES), "multi-class", ("horizontal",)),
}
THRESHOLDS = (0.25, 0.5, 0.75)
MAP_CLASSES = ("background", "csf", "grey matter", "white matter", "skull and scalp", "lesion")
SIDE = 32
FIELD = 236.0  # mm; the image's edge
VISIBLE = 0.3  # share of a pixel from which the map calls it lesion
STATES, MACHINES, CONTRASTS = 1, 2, 3  # seeds beside the heads' own; 0 would be a head's


def load(config: ConfigDict) -> Splits:
    """Makes the phantoms: ``subjects * slices`` images, split by subject, from ``config.seed`` alone.

    Args:
        config: the data config; ``side`` 0 means 32, ``channels`` 0 means 1. In
            ``config.phantoms``: ``task`` (``TASKS``), ``contrast`` (``signals.SEQUENCES``; the task
            ``contrast`` takes them all and ignores this), ``subjects``, ``slices`` per subject,
            ``noise`` (standard deviation as a share of white) and ``bias`` (spread of the shading).
            The heads depend on none of ``task``, ``contrast``, ``noise`` and ``bias``.

    Returns:
        Splits with ``maps`` (``MAP_CLASSES`` per pixel) and ``truth``: severity in [0, 1], grade,
        ``lesion_area`` in mm^2, subject number and height in mm of each slice. They are stratified by
        grade, or by machine where that is the label.

    Raises:
        ValueError: for a setting outside its range, by name.
    """
    settings, side = config.phantoms, config.side or SIDE
    _check(settings, side)
    head = anatomy.load(spacing=2 if side <= 64 else 1)
    numbers = range(settings.subjects)
    labels = _allot(settings, config.seed)
    parts = [
        _slices(head, number, config.seed, side, settings, labels[number])
        for number in track(numbers, "Making phantoms", settings.slices)
    ]
    whole = _join(parts, config.channels)
    strata = whole.labels if settings.task == "scanner" else whole.truth["grade"]  # type: ignore[index]
    cut = np.array(assign(whole.groups or (), strata.tolist(), config.seed))
    task = TASKS[settings.task]
    contrast = "all contrasts" if settings.task == "contrast" else settings.contrast
    train, val, test = (whole.take(np.flatnonzero(cut == split)) for split in SPLITS)
    info = Info(
        name="phantoms",
        classes=task.classes,
        channels=whole.images.shape[-1],
        side=side,
        task=task.kind,
        licence="phantoms computed from the ICBM-152 2009a maps (free use with notice)",
        md5=digest(whole.images.tobytes(), whole.labels.tobytes()),
        source=f"phantoms by {settings.task}, seed {config.seed}, {contrast}, not patients",
        flips=task.flips,
        map_classes=MAP_CLASSES,
        fit=config.fit,
    )
    return Splits(train, val, test, info)


def _check(settings: ConfigDict, side: int) -> None:
    if settings.task not in TASKS:
        raise ValueError(f"phantoms.task={settings.task!r}; known: {', '.join(TASKS)}")
    if settings.contrast not in SEQUENCES:
        raise ValueError(f"phantoms.contrast={settings.contrast!r}; known: {', '.join(SEQUENCES)}")
    limits = {
        "subjects": (10, 1_000_000),  # fewer cannot be split in three
        "slices": (1, 64),
        "noise": (0.0, 1.0),
        "bias": (0.0, 1.0),
    }
    for key, (low, high) in limits.items():
        if not low <= settings[key] <= high:
            raise ValueError(f"phantoms.{key}={settings[key]} is not in {low} to {high}")
    if not 16 <= side <= 512:
        raise ValueError(f"side={side}: phantoms are made at 16 to 512 pixels")


def _allot(settings: ConfigDict, seed: int) -> np.ndarray:
    """Deals the labels that do not follow from the head: ``[subjects, slices]``, -1 for grades.

    Contrasts are dealt in blocks of as many slices as there are contrasts, each once per block.
    """
    shape = settings.subjects, settings.slices
    if settings.task == "scanner":
        dealt = allot(settings.subjects, np.random.default_rng((seed, 0, MACHINES)))
        return np.broadcast_to(dealt[:, None], shape)
    if settings.task == "contrast":
        count = len(SEQUENCES)
        blocks = np.tile(np.arange(count), (-(-math.prod(shape) // count), 1))
        dealt = np.random.default_rng((seed, 0, CONTRASTS)).permuted(blocks, axis=1)
        return dealt.ravel()[: math.prod(shape)].reshape(shape)
    return np.full(shape, -1)


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
    inside = [np.clip(0.5 - (away - edge) / 1.5, 0, 1) for edge in subject.shells]
    csf = np.clip(inside[0] - grey - white, 0, 1)
    lesion = subject.lesions.strength(points) * np.clip(white + 0.4 * grey, 0, 1)
    tissue = [csf, grey, white, inside[1] - inside[0], inside[2] - inside[1]]
    stack = np.stack([*(t * (1 - lesion) for t in tissue), lesion], axis=-1)
    return stack.reshape(side, 2, side, 2, len(TISSUES)).mean(axis=(1, 3))


def _slices(
    head: anatomy.Anatomy,
    number: int,
    seed: int,
    side: int,
    settings: ConfigDict,
    labels: np.ndarray,
) -> Split:
    """Makes one subject's slices, as a split of grey images; ``labels`` are those of ``_allot``."""
    rng = np.random.default_rng((seed, number))
    subject = draw_subject(rng, head, settings.slices)
    content = np.stack([shares(head, subject, h, side) for h in subject.heights])
    count = len(content)
    grade = int(np.searchsorted(THRESHOLDS, subject.severity, side="right"))
    contrasts, machine = np.full(count, settings.contrast), Scanner()
    if settings.task == "grade":
        labels = np.full(count, grade)
    elif settings.task == "scanner":
        machine = tuple(SCANNERS.values())[labels[0]]
        machine = machine.varied(np.random.default_rng((seed, number, STATES)))
    else:
        contrasts = np.array(tuple(SEQUENCES))[labels]
    clean = machine.apply_sequence(content, subject.relaxation, contrasts)
    shaded = machine.apply_coil(clean * shading(rng, count, side, settings.bias), FIELD)
    seen = machine.show(rician(shaded, settings.noise * machine.noise, rng))
    area = content[..., -1].sum(axis=(1, 2)) * (FIELD / side) ** 2
    return Split.of_images(
        images=np.clip(np.rint(255 * seen), 0, 255).astype(np.uint8)[..., None],
        labels=labels.astype(np.int32),
        names=tuple(f"subject{number:05d}/slice{i:02d}" for i in range(count)),
        maps=_maps(content),
        truth={
            "severity": np.full(count, subject.severity),
            "grade": np.full(count, grade),
            "lesion_area": area,
            "subject": np.full(count, number),
            "height": subject.heights,
        },
        groups=(f"subject{number:05d}",) * count,
    )


def _maps(content: np.ndarray) -> np.ndarray:
    """Per-pixel classes: lesion where it holds ``VISIBLE`` of the pixel, else the largest share."""
    csf, grey, white, bone, scalp, lesion = np.moveaxis(content, -1, 0)
    air = 1 - content.sum(axis=-1)
    largest = np.argmax(np.stack([air, csf, grey, white, bone + scalp]), axis=0)
    return np.where(lesion >= VISIBLE, len(MAP_CLASSES) - 1, largest).astype(np.uint8)


def _join(parts: list[Split], channels: int) -> Split:
    maps = [p.maps for p in parts if p.maps is not None]
    truths = [p.truth for p in parts if p.truth is not None]
    return Split.of_images(
        images=convert_channels(np.concatenate([p.images for p in parts]), channels),
        labels=np.concatenate([p.labels for p in parts]),
        names=tuple(name for p in parts for name in p.names),
        maps=np.concatenate(maps),
        truth={key: np.concatenate([t[key] for t in truths]) for key in truths[0]},
        groups=tuple(group for p in parts for group in p.groups or ()),
    )
