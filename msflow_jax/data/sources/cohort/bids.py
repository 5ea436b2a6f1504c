"""The examinations of a cohort in the BIDS layout: ``sub-*/[ses-*/]anat/*_T1w.nii.gz``, without a table.

Layout and file names: Brain Imaging Data Structure, https://bids-specification.readthedocs.io.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from msflow_jax.data.base import class_name
from msflow_jax.data.sources.cohort.columns import (
    LABEL,
    PARTICIPANTS,
    REPORT,
    meanings,
    refuse_taken,
)
from msflow_jax.data.sources.cohort.table import Cohort, Examination
from msflow_jax.data.sources.finding import in_words
from msflow_jax.data.sources.listings.entries import check_inside, natural, split_of
from msflow_jax.data.sources.listings.meant_columns import (
    SPLIT,
    SUBJECT,
    is_key,
    meaning_of,
    warn_of_meant,
)
from msflow_jax.data.sources.tables.cells import emptied, is_nothing
from msflow_jax.data.sources.tables.reading import read_table
from msflow_jax.storage.content import printable

FOLDERS = ("anat", "ct")
# Modality by the last part of a file's name; PD is how older versions of the standard call PDw.
MODALITIES = {
    "T1w": "t1w", "T2w": "t2w", "FLAIR": "flair", "PDw": "pdw", "PD": "pdw", "T2starw": "t2starw",
    "ct": "ct", "CT": "ct",
}  # fmt: skip
_ENDS = (".nii.gz", ".nii")
_SUBJECT, _SESSION = "participant_id", "session_id"
_MEANING = (LABEL, SPLIT, REPORT)


def list_bids(root: Path, *, outside: bool) -> Cohort:
    """Lists the images of a folder in the BIDS layout; a session is an examination.

    Images of a subject that lie in none of its sessions are an examination too. Of several images of
    one modality in a session that with the fewest entities in its name is taken, of those the first run,
    with a warning. ``participants.tsv`` gives ``label``, ``split`` (spelled as in the table of a cohort)
    and further columns of each subject; ``sub-*_sessions.tsv``, where it has such columns, of each
    session.

    Args:
        root: folder with ``sub-*`` folders; ``derivatives`` and ``sourcedata`` are not looked at.
        outside: whether links may lead outside it.

    Raises:
        FileNotFoundError: no image of a known modality, or a link that leads nowhere.
        ValueError: a malformed table, two columns of one meaning, or a split that does not exist.
    """
    subjects = sorted((d for d in root.glob("sub-*") if d.is_dir()), key=lambda d: natural(d.name))
    known = _table(root / PARTICIPANTS, _SUBJECT, "sub-")
    columns = {*_MEANING, *(name for row in known.values() for name in row)}
    left: Counter[str] = Counter()
    several: list[str] = []
    unlisted: list[str] = []
    rows = []
    for subject in subjects:
        given = known.get(subject.name, {})
        sessions = sorted(
            (d for d in subject.glob("ses-*") if d.is_dir()), key=lambda d: natural(d.name)
        )
        own = _table(subject / f"{subject.name}_sessions.tsv", _SESSION, "ses-", columns)
        for session in [subject, *sessions]:
            found = _images(session, left, several)
            if not found:
                continue
            if own and session.name not in own and any(LABEL in row for row in own.values()):
                unlisted.append(printable(session.relative_to(root).as_posix()))
            values = given | own.get(session.name, {})
            rows.append(_row(root, subject.name, session, found, values, outside))
    if not rows:
        others = f"; left out: {in_words(+left)}" if +left else ""
        raise FileNotFoundError(
            f"no sub-*/anat/*_T1w.nii.gz, nor another of {', '.join(MODALITIES)}, in {root}{others}; "
            "give a folder in the BIDS layout, or a table (CSV) with a column of paths per modality"
        )
    absent = sorted({*known} - {d.name for d in subjects}, key=natural)
    _warn(root, several, left, absent, unlisted)
    modalities = dict.fromkeys(m for m in MODALITIES.values() if any(m in r.paths for r in rows))
    return Cohort(tuple(rows), tuple(modalities), root)


def _warn(
    root: Path, several: list[str], left: Counter[str], absent: list[str], unlisted: list[str]
) -> None:
    """One line on what was not taken, if anything was not."""
    words = []
    if several:
        words.append(
            f"{len(several)} modalities have several images, of which one is taken (the first: "
            f"{several[0]}); list them in a table to take others"
        )
    if +left:
        words.append(f"left out {in_words(+left)}")
    if absent:
        words.append(
            f"{PARTICIPANTS} names {len(absent)} that have no folder (the first: {absent[0]})"
        )
    if unlisted:
        words.append(
            f"{len(unlisted)} examinations have no line in their subject's sessions.tsv, and take what "
            f"{PARTICIPANTS} says (the first: {unlisted[0]})"
        )
    if words:
        warnings.warn(f"{root}: {'; '.join(words)}", stacklevel=4)


def _images(session: Path, left: Counter[str], several: list[str]) -> dict[str, Path]:
    """The image of each modality in a session."""
    found: dict[str, list[Path]] = {}
    for path in _files(session):
        suffix = path.name[: -len(_end(path))].rpartition("_")[2]
        if suffix in MODALITIES:
            found.setdefault(MODALITIES[suffix], []).append(path)
        else:
            left[f"images called _{printable(suffix)}"] += 1
    for paths in found.values():
        # The plainest name first: acq-, ce- and rec- are variants.
        paths.sort(key=lambda p: (_entities(p), natural(p.name)))
        if len(paths) > 1:
            several.append(f"{printable(paths[0].name)} of {len(paths)}")
    return {name: paths[0] for name, paths in found.items()}


def _entities(path: Path) -> int:
    """How many entities a name has but for the number of its run."""
    return sum("-" in part and not part.startswith("run-") for part in path.name.split("_"))


def _files(session: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        if (session / folder).is_dir():
            for path in sorted((session / folder).iterdir()):
                if _end(path) and not path.name.startswith("."):
                    yield path


def _end(path: Path) -> str:
    return next((end for end in _ENDS if path.name.endswith(end)), "")


def _row(
    root: Path,
    subject: str,
    session: Path,
    found: Mapping[str, Path],
    given: Mapping[str, str],
    outside: bool,
) -> Examination:
    name = printable(session.relative_to(root).as_posix())
    for path in found.values():
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is a link that leads nowhere: fetch the file (`datalad get`, `git annex get`)"
            )
        if not outside:
            check_inside(path, path.resolve(), root, name, "cohort")
    return Examination(
        where=str(session),
        name=name,
        cells={m: printable(p.relative_to(root).as_posix()) for m, p in found.items()},
        paths=dict(found),
        subject=subject,
        label=class_name(given.get(LABEL, "")),
        split=split_of(given, f"{root}: {name} in {PARTICIPANTS} or its sessions.tsv"),
        report=given.get(REPORT, ""),
        facts={n: v for n, v in given.items() if n not in _MEANING},
    )


def _table(
    path: Path, column: str, start: str, columns: Collection[str] | None = None
) -> dict[str, dict[str, str]]:
    """The further columns of a table of the standard by subject or session.

    Columns with a meaning are called by it, however they are spelled.

    Args:
        path: the table; nothing is found where there is none.
        column: the column that says which subject or session.
        start: what folders of such begin with; the table may leave it out.
        columns: the columns that are looked at; None: all, and what may be meant otherwise is said.
    """
    if not path.is_file():
        return {}
    header, lines = read_table(path, (column,), quotes=False)
    # Whom images show is said by their folders, whatever else a table says.
    meaning = meanings(path, [name for name in header if meaning_of(name) != SUBJECT])
    called = {name: meaning.get(name, name) for name in header if name and name != column}
    kept = {name: word for name, word in called.items() if columns is None or word in columns}
    refuse_taken(kept, path)
    if columns is None:
        _warn_of_meant(path, {n: [cells[i] for _, cells in lines] for i, n in enumerate(header)})
    label = next((name for name, word in meaning.items() if word == LABEL), "")
    found: dict[str, dict[str, str]] = {}
    for number, cells in emptied(path, header, lines, meaning, label=label, standard=True):
        row = dict(zip(header, cells, strict=True))
        name = row[column] if row[column].startswith(start) else f"{start}{row[column]}"
        if name in found:
            raise ValueError(f"{path}, line {number}: {name} has a line before: keep one of them")
        found[name] = {printable(word): printable(row[n]) for n, word in kept.items()}
    return found


def _warn_of_meant(path: Path, columns: Mapping[str, Sequence[str]]) -> None:
    """Lines on facts that look as if they were splits, or said that two folders show one person."""
    warn_of_meant(path, {name: cells for name, cells in columns.items() if name})
    for name, column in columns.items():
        cells = [cell for cell in column if not is_nothing(cell)]
        whose = meaning_of(name) == SUBJECT or is_key(name)
        if whose and 1 < len(set(cells)) < len(cells):
            warnings.warn(
                f"{path}: the column {name!r} is taken for a fact ({len(set(cells))} values in "
                f"{len(cells)} rows), since a folder sub-* is a subject: if it says whom images show, "
                "put those of one person into sessions of one folder, or they may come into two splits",
                stacklevel=4,
            )
