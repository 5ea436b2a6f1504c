"""Whom a DICOM file shows, and of which series it is, as salted hashes that identify nobody."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from msflow_jax.data.sources.dicom.headers import get, modality
from msflow_jax.data.sources.identifiers import patient_group, pseudonym, without_issuer

if TYPE_CHECKING:
    from pydicom import Dataset


class Slice(Protocol):
    """A file of a series: a ``Whose``, or a ``Header``, which says the same."""

    @property
    def series(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def study(self) -> str: ...


@dataclass(frozen=True)
class Whose:
    """What a header says of the patient and the series; texts are empty where it does not say it.

    Attributes:
        series: equal for the files of a series.
        group: the patient, else the study, else the series.
        study: equal for the files of a study; equal to ``group`` where there is no PatientID.
        alike: as ``group``, but one for PatientIDs that differ in case, blanks and leading zeros alone;
            empty without a PatientID.
        modality: DICOM's word, such as ``CT``.
    """

    series: str
    group: str
    study: str
    alike: str
    modality: str

    @classmethod
    def of(cls, found: Dataset) -> Whose:
        """What the header of an object says."""
        series, study = (
            str(get(found, f"{kind}InstanceUID") or "") for kind in ("Series", "Study")
        )
        patient = str(get(found, "PatientID") or "").strip()
        issuer = str(get(found, "IssuerOfPatientID") or "").strip()
        group = alike = ""
        if patient:
            group = patient_group(patient, issuer)
            alike = patient_group(_plain(patient), issuer)
        elif study or series:
            group = pseudonym("Study", study) if study else pseudonym("Series", series)
        return cls(
            pseudonym("series", series) if series else "",
            group,
            pseudonym("Study", study) if study else "",
            alike,
            modality(found),
        )

    def of_one_patient(self, other: Whose) -> bool:
        """Whether two files of one series are; one without a PatientID is of whom its study is."""
        if without_issuer(self.group) == without_issuer(other.group):
            return True
        one_study = self.study == other.study != ""
        return one_study and not (has_patient(self) and has_patient(other))


def _plain(patient: str) -> str:
    """A PatientID without what is lost or added where tables and archives pass it on."""
    text = unicodedata.normalize("NFKC", patient).casefold()
    return "".join(text.split()).lstrip("0") or "0"


def has_patient(header: Slice) -> bool:
    """Whether a header names a patient, and not only a study."""
    return header.group not in ("", header.study)


def group_of(headers: Sequence[Slice]) -> str:
    """Whom a series shows: by the first of its headers that names a patient, else by the first."""
    return next(filter(has_patient, headers), headers[0]).group


def patients_within(headers: Sequence[Slice]) -> list[str]:
    """Of each file the patient by whom the files of one series are told apart.

    Scripts that write or blank headers may give all files one series, so that a series of two patients
    is two. A file without a PatientID is of the one patient whom others of its series and study name.
    """
    named: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for one in headers:
        if has_patient(one):
            named[one.series, one.study].add(without_issuer(one.group))
    found = []
    for one in headers:
        others = named.get((one.series, one.study), set())
        sole = len(others) == 1 and not has_patient(one)
        found.append(min(others) if sole else without_issuer(one.group))
    return found
