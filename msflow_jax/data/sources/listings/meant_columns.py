"""Columns of the user's tables that say whom an image shows, or its split, however they are spelled.

Taken for facts, as all other columns are, they would let a patient into two splits without a word.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from msflow_jax.data.sources.listings.split_words import called_as_splits
from msflow_jax.data.sources.tables.cells import is_nothing
from msflow_jax.storage.text import first_of

SUBJECT, SPLIT = "subject", "split"
_WHOM = ("patient", "subject", "participant")
_SPELLINGS = {
    **{f"{word}{end}": SUBJECT for word in _WHOM for end in ("", "s", "id", "ids")},
    "patientname": SUBJECT, "split": SPLIT, "splits": SPLIT,
}  # fmt: skip
# What may say the same, and may not.
_MAYBE = {
    "id", "eid", "pid", "mrn", "pat", "pt", "subj", "case", "person", "individual",
    "donor", "animal", "hadmid", "anonid", "pseudoid", "empi",
    # A study is of one patient.
    "studyid", "studyuid", "studyinstanceuid", "accession", "accessionid", "accessionno",
    "accessionnumber",
}  # fmt: skip
# What may be a site's or a visit's too: persons have a label each, and are many.
_SELDOM = {"name", "exam", "examination", "study", "session", "visit", "encounter"}
_MANY = 1 / 10  # of the rows
_HIDDEN = "(?:anon(?:ymi[sz]ed)?|deid(?:entified)?|pseudo(?:nymi[sz]ed)?)?"
_KEY = re.compile(
    f"{_HIDDEN}(?:patient|subject|participant|person|case|pat|pt|subj|donor|animal|record|exam)"
    "(?:id|uid|key|code|hash|identifier|index|number|no|nr|pseudonym)|pseudonym(?:id)?"
)
_NO_FACTS = {"path", "label", "report"}  # columns with another meaning
_SHOWN = 5  # cells in a line


def meaning_of(name: str) -> str:
    """``subject``, ``split`` or empty: of ``PatientID``, ``patient_id`` and ``Split`` too."""
    return _SPELLINGS.get(_letters(name), "")


def is_key(name: str) -> bool:
    """Whether a column is called as one that numbers persons: ``patient_hash``, ``pseudonym``."""
    return bool(_KEY.fullmatch(_letters(name)))


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def refuse_two(path: Path, meanings: Mapping[str, str]) -> None:
    """Refuses two columns of one meaning.

    Args:
        path: the table, for the error.
        meanings: what each column means, by its name; empty of one without a meaning.

    Raises:
        ValueError: there are two; names them.
    """
    for word in filter(None, dict.fromkeys(meanings.values())):
        both = [name for name, meaning in meanings.items() if meaning == word]
        if len(both) > 1:
            raise ValueError(
                f"{path}: the columns {' and '.join(both)} both say the {word}: keep one of them"
            )


def called(path: Path, header: Sequence[str], subject: str) -> list[str]:
    """The columns of a table, those with such a meaning by one name.

    Args:
        path: the table, for the error.
        header: its columns.
        subject: what the column of subjects is called.

    Raises:
        ValueError: two columns of one meaning.
    """
    found = {name: meaning_of(name) for name in header}
    refuse_two(path, found)
    names = {SUBJECT: subject, SPLIT: SPLIT}
    return [names.get(found[name], name) for name in header]


def _are_many(name: str, columns: Mapping[str, Sequence[str]]) -> bool:
    """Whether a column that seldom says whom images show has many values, and a label for each."""
    labels = next((cells for other, cells in columns.items() if _letters(other) == "label"), ())
    if _letters(name) not in _SELDOM or not labels:
        return False
    pairs = {pair for pair in zip(columns[name], labels, strict=True) if not is_nothing(pair[0])}
    values = {value for value, _ in pairs}
    return len(values) == len(pairs) >= _MANY * len(labels)


def warn_of_meant(path: Path, columns: Mapping[str, Sequence[str]]) -> None:
    """A line on facts that look as if they said whom images show, or their split.

    Args:
        path: the table.
        columns: the cells of all its columns.
    """
    there = {meaning_of(name) for name in columns}
    for name, column in columns.items():
        cells = [cell for cell in column if not is_nothing(cell)]
        kinds = len(set(cells))
        may = _letters(name) in _MAYBE or is_key(name) or _are_many(name, columns)
        if may and SUBJECT not in there and 1 < kinds < len(cells):
            warnings.warn(
                f"{path}: the column {name!r} is taken for a fact ({kinds} values in {len(cells)} "
                "rows): if it says whom images show, call it patient, or images of one patient may come "
                "into two splits",
                stacklevel=4,
            )
        is_fact = SPLIT not in there and _letters(name) not in _NO_FACTS
        words = sorted(called_as_splits(cell.casefold() for cell in cells)) if is_fact else []
        if words:
            warnings.warn(
                f"{path}: the column {name!r} is taken for a fact, and its cells are called as splits "
                f"({first_of(words, _SHOWN)}): call it split if it says which images are trained on",
                stacklevel=4,
            )
