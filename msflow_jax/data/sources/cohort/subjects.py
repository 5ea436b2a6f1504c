"""Whom examinations show, by their list and by the headers of their files: both must agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msflow_jax.data.sources.cohort.seen import Seen
from msflow_jax.data.sources.cohort.table import Examination
from msflow_jax.data.sources.identifiers import settled
from msflow_jax.data.sources.listings.entries import check_all_split
from msflow_jax.data.sources.listings.folders import Row
from msflow_jax.data.sources.nifti.reading import split_volume
from msflow_jax.data.sources.patients import Patients


def subjects_of(
    rows: Sequence[Examination], seen: Sequence[Seen], titles: Sequence[str]
) -> list[str]:
    """The subject of each examination, for the cut into splits; it depends on no salt.

    Where neither says it, volumes of one file are of one subject, and each other row is its own.

    Args:
        rows: the examinations.
        seen: what their headers say.
        titles: what tables call them; who has no other name is called as the first one of them.

    Raises:
        ValueError: the headers of two rows name one patient, and the list two, or the other way round;
            names both rows.
    """
    parts = [part for one in seen for part in one.parts.values()]
    patients = Patients.among([part.picture for part in parts])
    whom, names = [patients.of.get(one.patient, "") for one in seen], dict[str, str]()
    if not any(row.subject for row in rows):
        patients.warn([part.place for part in parts], "subject")
        found = []
        for row, patient, title in zip(rows, whom, titles, strict=True):
            keys = [patient] if patient else files_of(row)
            name = next((names[key] for key in keys if key in names), title)
            names.update(dict.fromkeys(keys, name))
            found.append(name)
        return found
    studies = {part.picture.study for part in parts}
    numbers = ["" if n in studies else n for n in settled([one.patient for one in seen])]
    first_of: dict[str, int] = {}
    subjects: dict[str, int] = {}
    for i, (row, patient) in enumerate(zip(rows, whom, strict=True)):
        if not patient:
            continue
        first = first_of.setdefault(patient, i)
        # Of two numbers in one study the list says whether they are one patient's.
        two = numbers[i] and numbers[first] and numbers[i] != numbers[first]
        if rows[first].subject != row.subject and not two:
            raise _contradiction(rows[first], row, "show one patient, but are of two subjects here")
        first = subjects.setdefault(row.subject, i)
        if whom[first] != patient:
            raise _contradiction(rows[first], row, "show two patients, but are of one subject here")
    return [row.subject for row in rows]


def as_rows(
    rows: Sequence[Examination],
    seen: Sequence[Seen],
    titles: Sequence[str],
    subjects: Sequence[str],
) -> list[Row]:
    """What the cut into splits needs, of each examination its first file for all."""
    return [
        Row(row.paths[next(iter(one.parts))], title, row.label, subject, row.split)
        for row, one, title, subject in zip(rows, seen, titles, subjects, strict=True)
    ]


def files_of(row: Examination) -> list[str]:
    """The files of an examination in which other volumes may lie."""
    parts = (split_volume(str(path)) for path in row.paths.values())
    return [str(Path(file).resolve()) for file, number in parts if number is not None]


def _contradiction(first: Examination, second: Examination, what: str) -> ValueError:
    return ValueError(
        f"{first.where} and {second.where}: the headers of their files say that they {what}: correct "
        "the subjects, or remove the patients from the headers"
    )


def check_splits(rows: Sequence[Examination], subjects: Sequence[str]) -> None:
    """Refuses given splits that part a subject, or leave an examination out; names the rows."""
    check_all_split([row.split for row in rows], lambda i: rows[i].where)
    seen: dict[str, Examination] = {}
    for row, subject in zip(rows, subjects, strict=True):
        first = seen.setdefault(subject, row)
        if first.split != row.split:
            raise ValueError(
                f"{first.where} is in {first.split} and {row.where} in {row.split}, but both are of one "
                "subject: keep each in one split, or drop the split column to have it cut for you"
            )
