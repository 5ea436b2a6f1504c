"""The examinations of a cohort in the BIDS layout: ``sub-*/[ses-*/]anat/*_T1w.nii.gz``, without a table.

Layout and file names: Brain Imaging Data Structure, https://bids-specification.readthedocs.io.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from msflow_jax.data.base import class_name
from msflow_jax.data.sources.cohort_columns import LABEL, REPORT, SPLIT, refuse_taken
from msflow_jax.data.sources.cohort_table import Cohort, Examination
from msflow_jax.data.sources.entries import check_inside, natural, split_of
from msflow_jax.data.sources.finding import in_words
from msflow_jax.data.sources.table import read_table
from msflow_jax.storage.content import printable

FOLDERS = ("anat", "ct")
# Modality by the last part of a file's name; PD is how older versions of the standard call PDw.
MODALITIES = {
    "T1w": "t1w", "T2w": "t2w", "FLAIR": "flair", "PDw": "pdw", "PD": "pdw", "T2starw": "t2starw",
    "ct": "ct", "CT": "ct",
}  # fmt: skip
_ENDS = (".nii.gz", ".nii")
_TABLE, _COLUMN = "participants.tsv", "participant_id"
_NOTHING = "n/a"  # the standard's word for an empty cell


def list_bids(root: Path, *, outside: bool) -> Cohort:
    """Lists the images of a folder in the BIDS layout; a session is an examination.

    Of several images of one modality in a session that with the fewest entities in its name is taken,
    of those the first run, with a warning. ``participants.tsv`` gives ``label``, ``split`` and further
    columns of each subject.

    Args:
        root: folder with ``sub-*`` folders; ``derivatives`` and ``sourcedata`` are not looked at.
        outside: whether links may lead outside it.

    Raises:
        FileNotFoundError: no image of a known modality, or a link that leads nowhere.
        ValueError: a malformed ``participants.tsv``, or a split that does not exist.
    """
    subjects = sorted((d for d in root.glob("sub-*") if d.is_dir()), key=lambda d: natural(d.name))
    known = _participants(root / _TABLE)
    left: Counter[str] = Counter()
    several: list[str] = []
    rows = []
    for subject in subjects:
        given = known.get(subject.name, {})
        sessions = [d for d in subject.glob("ses-*") if d.is_dir()]
        for session in sorted(sessions, key=lambda d: natural(d.name)) or [subject]:
            found = _images(session, left, several)
            if found:
                rows.append(_row(root, subject.name, session, found, given, outside))
    if not rows:
        others = f"; left out: {in_words(+left)}" if +left else ""
        raise FileNotFoundError(
            f"no sub-*/anat/*_T1w.nii.gz, nor another of {', '.join(MODALITIES)}, in {root}{others}; "
            "give a folder in the BIDS layout, or a table (CSV) with a column of paths per modality"
        )
    _warn(root, several, left, sorted({*known} - {d.name for d in subjects}, key=natural))
    modalities = dict.fromkeys(m for m in MODALITIES.values() if any(m in r.paths for r in rows))
    return Cohort(tuple(rows), tuple(modalities), root)


def _warn(root: Path, several: list[str], left: Counter[str], absent: list[str]) -> None:
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
        words.append(f"{_TABLE} names {len(absent)} that have no folder (the first: {absent[0]})")
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
        split=split_of(given, f"{root / _TABLE}: {subject}"),
        report=given.get(REPORT, ""),
        facts={n: v for n, v in given.items() if n not in (LABEL, SPLIT, REPORT)},
    )


def _participants(path: Path) -> dict[str, dict[str, str]]:
    """The further columns of ``participants.tsv`` by subject; none where there is no such file."""
    if not path.is_file():
        return {}
    header, lines = read_table(path, (_COLUMN,), quotes=False)
    refuse_taken(header, path)
    found: dict[str, dict[str, str]] = {}
    for number, cells in lines:
        row = {n: "" if v == _NOTHING else v for n, v in zip(header, cells, strict=True) if n}
        subject = row.pop(_COLUMN)
        subject = subject if subject.startswith("sub-") else f"sub-{subject}"
        if subject in found:
            raise ValueError(
                f"{path}, line {number}: {subject} has a line before: keep one of them"
            )
        found[subject] = {printable(n): printable(v) for n, v in row.items()}
    return found
