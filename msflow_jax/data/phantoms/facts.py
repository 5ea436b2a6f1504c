"""What a report says of a head: facts on lesions, ventricles and skull, in the patient's own sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from msflow_jax.data.phantoms import anatomy
from msflow_jax.data.phantoms.lesions import Lesions
from msflow_jax.data.phantoms.subjects import CENTRE, GRADES, Subject
from msflow_jax.data.phantoms.tasks import grade_of

NONE = "none"  # a side, a lobe, a size: where there is no lesion
SIDES = ("left", "right", "both")  # of the patient; left is on the right of an image
LOBES = ("frontal", "parietal", "temporal", "occipital", "deep")
SIZES = {"small": 12, "medium": 30, "large": 1000}  # mm; the class ends below
VENTRICLES = {"narrow": 0.07, "normal": 0.23, "wide": 1.0}  # swelling; the class ends at


@dataclass(frozen=True)
class Facts:
    """What is true of a head, and recovered from every report of it.

    A lesion here is what an image shows as one: drawn ellipsoids that touch are one.

    Attributes:
        lesions: how many there are.
        largest: longest diameter in mm of the largest one; 0 where there is none.
        side: where they lie, one of ``SIDES`` or ``none``.
        largest_side: where the largest one lies.
        largest_lobe: in which of ``LOBES``; ``none`` where there is no lesion.
        grade: one of ``GRADES``, in words.
        ventricles: their width, one of ``VENTRICLES``.
        skull: thickness of the vault in mm.
        breadth: of the skull in mm, outside to outside.
    """

    lesions: int
    largest: int
    side: str
    largest_side: str
    largest_lobe: str
    grade: str
    ventricles: str
    skull: int
    breadth: int

    @property
    def size(self) -> str:
        """Size class of the largest lesion, one of ``SIZES`` or ``none``."""
        return next(s for s, end in SIZES.items() if self.largest < end) if self.lesions else NONE


def facts_of(head: anatomy.Anatomy, subject: Subject) -> Facts:
    """What is true of a subject's head; lengths to about 2 mm.

    Args:
        head: maps of the whole head.
        subject: the subject.
    """
    scale = float(np.linalg.det(subject.pose)) ** (-1 / 3)  # mm of the head per mm of the template
    count, largest, site = _largest(subject.lesions, scale)
    right = subject.lesions.centres[:, 0] > 0  # x points to the patient's right
    swelling, skull = subject.swelling, float(subject.shells[1] - subject.shells[0])
    return Facts(
        lesions=count,
        largest=largest,
        side=NONE if not count else "both" if len(set(right)) > 1 else SIDES[int(right[0])],
        largest_side=NONE if not count else SIDES[int(site[0] > 0)],
        largest_lobe=NONE if not count else lobe(*site),
        grade=GRADES[grade_of(subject)],
        ventricles=next(name for name, end in VENTRICLES.items() if swelling <= end),
        skull=round(skull * scale),
        breadth=_breadth(head, subject),
    )


def lobe(x: float, y: float, z: float) -> str:
    """The lobe at a place in MNI mm, by planes.

    ``deep`` is a box around the ventricles and the basal ganglia. The central sulcus is taken as the
    plane y = 5 - z / 2, the end of the occipital lobe as y = -62, the top of the temporal one as z = 12.
    """
    if abs(x) <= 27 and -40 <= y <= 26 and z <= 32:
        return "deep"
    if y < -62:
        return "occipital"
    if z < 12 and y < 5:
        return "temporal"
    return "frontal" if y > 5 - z / 2 else "parietal"


def _largest(lesions: Lesions, scale: float) -> tuple[int, int, np.ndarray]:
    """How many lesions touch none of the others, the longest one's diameter in mm, and its site."""
    from scipy.sparse.csgraph import connected_components

    centres, count = lesions.centres, len(lesions.centres)
    if not count:
        return 0, 0, CENTRE
    apart = centres[None] - centres[:, None]
    distance = np.linalg.norm(apart, axis=-1)
    towards = apart / np.where(distance > 0, distance, 1)[..., None]
    # From a centre to its rim, in the direction of each other one.
    steepness = np.linalg.norm(np.einsum("iab,ijb->ija", lesions.shapes, towards), axis=-1)
    reach = np.where(distance > 0, 1 / np.where(steepness > 0, steepness, 1), 0)
    groups, member = connected_components(distance < reach + reach.T)
    radii = 1 / np.linalg.norm(lesions.shapes, axis=2).min(axis=1)  # the longest half-axis
    spans = distance + radii[:, None] + radii
    sizes = [spans[np.ix_(member == g, member == g)].max() for g in range(groups)]
    mine = member == int(np.argmax(sizes))
    site = np.average(centres[mine], axis=0, weights=radii[mine] ** 3)
    return groups, round(max(sizes) * scale), site


def _breadth(head: anatomy.Anatomy, subject: Subject) -> int:
    """Breadth in mm of the skull: the widest line from side to side, outside to outside."""
    x = np.arange(-120.0, 121.0)
    z, y, x = np.meshgrid(np.arange(-10.0, 51.0, 6), np.arange(-60.0, 11.0, 6), x, indexing="ij")
    points = subject.to_template(np.stack([x.ravel(), y.ravel(), z.ravel()]))
    within = (head.distance.sample(points, 100.0) < subject.shells[1]).reshape(x.shape)
    return int(within.sum(axis=-1).max())


def labels_of(
    truth: Mapping[str, np.ndarray], training: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The facts as classes, each a column of words or numbers ``[N]``: what a classifier may learn.

    Args:
        truth: columns ``fact_...`` of some heads, as ``Split.truth`` has them.
        training: those of the training heads, whose thirds the lengths in mm are told by.

    Raises:
        ValueError: there are no such columns.
    """
    if missing := [name for name in ("fact_lesions", "fact_side") if name not in truth]:
        raise ValueError(
            f"the data have no column {missing[0]}: facts are known of phantom cohorts"
        )
    some = np.asarray(truth["fact_lesions"]) > 0
    ends = list(SIZES.values())
    size = np.array(list(SIZES))[np.searchsorted(ends, truth["fact_largest"], side="right")]
    found = {
        "presence": np.where(some, "lesion", NONE),
        "side": np.asarray(truth["fact_side"], str),
        "lobe": np.asarray(truth["fact_largest_lobe"], str),
        "size": np.where(some, size, NONE),
        "ventricles": np.asarray(truth["fact_ventricles"], str),
    }
    for name in ("skull", "breadth"):
        thirds = np.quantile(training[f"fact_{name}"], [1 / 3, 2 / 3])
        found[name] = np.searchsorted(thirds, truth[f"fact_{name}"])
    return found
