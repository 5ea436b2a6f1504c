"""Which files show one patient, by all that the headers of all files at hand say of it, in hashes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from msflow_jax.data.sources.identifiers import settled

# PatientIDs of a study that was corrected; more of them have a placeholder as their study.
_MOST = 3


class Named(Protocol):
    """A header or a picture: salted hashes of what it says, empty where it says nothing.

    Attributes:
        group: the patient, else the study.
        study: the study; equal to ``group`` where no patient is named.
        alike: one for all patients whose numbers differ only in how they are written.
    """

    @property
    def group(self) -> str: ...
    @property
    def study(self) -> str: ...
    @property
    def alike(self) -> str: ...


Pair = tuple[int, int]  # positions of two files


@dataclass(frozen=True)
class Patients:
    """Whom files show together.

    The patient of a file is its PatientID, else its study. Of one study some files may lack the number,
    or have it in another form: files of a study are of one patient, as DICOM has it.

    Attributes:
        of: the hash of the patient by the ``group`` of a file.
        blank: two files of each study of which some name a patient and some do not.
        several: two files of each study of several patients, taken for one.
        placeholders: two files of each study of so many patients that it is none; they are kept apart.
        alike: two files of each two patients whose numbers may be one, written in two ways.
    """

    of: dict[str, str]
    blank: tuple[Pair, ...] = ()
    several: tuple[Pair, ...] = ()
    placeholders: tuple[Pair, ...] = ()
    alike: tuple[Pair, ...] = ()

    @classmethod
    def among(cls, files: Sequence[Named]) -> Patients:
        """The patients of all files at hand; one whose file says nothing is nobody's."""
        groups = settled([one.group for one in files])
        studies: dict[str, dict[str, int]] = {}  # of each the first file of each group
        for i, (one, group) in enumerate(zip(files, groups, strict=True)):
            if one.study:
                studies.setdefault(one.study, {}).setdefault(group, i)
        blank, several, placeholders = list[Pair](), list[Pair](), list[Pair]()
        above: dict[str, str] = {}
        for study, first in studies.items():
            if len(first) == 1:
                continue
            numbers = [i for group, i in first.items() if group != study]
            if len(numbers) > _MOST:
                placeholders.append((numbers[0], numbers[1]))
                continue
            if len(numbers) > 1:
                several.append((numbers[0], numbers[1]))
            else:
                blank.append((numbers[0], first[study]))
            # A number stands for all of a study, never the study for a number.
            tops = sorted({_top(above, group) for group in first}, key=lambda g: (g in studies, g))
            above.update(dict.fromkeys(tops[1:], tops[0]))
        whom = [_top(above, group) for group in groups]
        of = dict(zip((one.group for one in files), whom, strict=True))
        return cls(of, tuple(blank), tuple(several), tuple(placeholders), _alike(files, whom))

    def warn(self, places: Sequence[str], column: str = "patient") -> None:
        """Lines on what was decided, and on numbers that may be one; none says a number.

        Args:
            places: of each file where it lies.
            column: of a table, that says whom files show.
        """
        remedy = f"list the files in a CSV with a column {column}"
        kinds = [
            (len(self.blank), "with and without a PatientID"),
            (len(self.several), "of several PatientIDs"),
        ]
        joined = [f"{count} studies hold files {what}" for count, what in kinds if count]
        lines = [
            (
                (*self.blank, *self.several),
                f"{' and '.join(joined)}, such as {{}} and {{}}: files of one StudyInstanceUID are kept "
                f"together, as of one patient; if they show several, {remedy}",
            ),
            (
                self.placeholders,
                f"{len(self.placeholders)} studies hold files of more than {_MOST} PatientIDs, such as "
                "{} and {}: their StudyInstanceUID is taken for a placeholder, and these for different "
                f"patients; if they show one, {remedy}",
            ),
            (
                self.alike,
                f"PatientIDs of {len(self.alike)} pairs of patients differ in case, blanks or leading "
                "zeros alone, those of {} and {} for one: they are taken for two patients; if they are "
                f"one, write them alike, or {remedy}",
            ),
        ]
        for pairs, line in lines:
            if pairs:
                warnings.warn(line.format(*(places[i] for i in pairs[0])), stacklevel=4)


def _top(above: dict[str, str], group: str) -> str:
    """Whom a group was joined with; ``above`` is shortened on the way."""
    path = []
    while group in above:
        path.append(group)
        group = above[group]
    above.update(dict.fromkeys(path, group))
    return group


def _alike(files: Sequence[Named], whom: Sequence[str]) -> tuple[Pair, ...]:
    """Files of patients whose numbers would be one if they were written alike."""
    found: dict[str, dict[str, int]] = {}
    forms = settled([one.alike for one in files])
    for i, (form, patient) in enumerate(zip(forms, whom, strict=True)):
        if form:
            found.setdefault(form, {}).setdefault(patient, i)
    starts = [list(first.values()) for first in found.values()]
    return tuple((firsts[0], other) for firsts in starts for other in firsts[1:])
