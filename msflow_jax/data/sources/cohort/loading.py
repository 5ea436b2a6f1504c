"""Examinations of several modalities, some of them missing: from a table or the BIDS layout."""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import SPLITS, Info, LazySplit, Modality, Split, Splits, digest, own_info
from msflow_jax.data.intensity import FULL
from msflow_jax.data.sources.cohort.arrays import Bringing, fill, lazy
from msflow_jax.data.sources.cohort.bids import list_bids
from msflow_jax.data.sources.cohort.columns import LABEL
from msflow_jax.data.sources.cohort.found import (
    Found,
    check_found_copies,
    columns,
    common,
    contents,
    reports,
)
from msflow_jax.data.sources.cohort.maps import fit_maps
from msflow_jax.data.sources.cohort.reading import Reading, look
from msflow_jax.data.sources.cohort.seen import spaces, warn_of_shortcuts
from msflow_jax.data.sources.cohort.subjects import as_rows, check_splits, files_of, subjects_of
from msflow_jax.data.sources.cohort.table import Cohort, Examination, list_table
from msflow_jax.data.sources.dicom.directions import warn_of_directions
from msflow_jax.data.sources.dicom.odd import warn_of_intents
from msflow_jax.data.sources.grey.choice import Notes
from msflow_jax.data.sources.items import Wanted
from msflow_jax.data.sources.listings.folder_checks import warn_of_series
from msflow_jax.data.sources.listings.folders import root_of, sort_rows
from msflow_jax.data.sources.listings.subjects import warn_of_frames
from msflow_jax.data.sources.reading import tell_squares
from msflow_jax.data.sources.sizes import warn_of_small
from msflow_jax.data.sources.tables.reading import likely
from msflow_jax.storage.machine import physical_memory
from msflow_jax.storage.text import first_of, listed

_SHOWN = 3
_LABELS = "The column label names the class of each examination"
_LICENCE = "unknown: the user's own files"


def load(config: ConfigDict, *, told: bool = False) -> Splits:
    """Loads a cohort: ``root`` is a table (see ``table``) or a folder (see ``bids``).

    With ``data.modality``, or where there is only one, its images are the array ``image`` of the
    examinations that have it. Otherwise each modality is an array under its own name, zeros where an
    examination lacks it, which ``present`` says. One line says what the list was taken for, unless it
    was ``told`` before.

    Returns:
        Splits by subject; their facts are the further columns, ``volume`` and ``slice`` of slices, and
        ``report``, the text.

    Raises:
        FileNotFoundError: no such table or folder, or a file of it is absent.
        ValueError: a list as ``list_table`` and ``list_bids`` refuse it, files as ``Reading``,
            ``subjects_of`` and ``fit_maps`` do, a modality that is none, or no label.
    """
    cohort = list_cohort(config)
    names = _chosen(cohort, config.modality)
    if config.loader == "grain" and len(names) > 1:
        raise ValueError(
            f"data.loader=grain reads one modality while training, but {cohort.root} has "
            f"{listed(names)}: choose one with --config.data.modality, or set data.loader=device"
        )
    rows = _usable(cohort, names)
    reading = Reading.of(config, names)
    seen, kept = look(rows, reading)
    warn_of_small((spaces(name, seen) for name in names), cohort.root)
    notes, axis = Notes(), config.slices.axis if config.dims == 2 else "axial"
    for name, part in ((n, p) for one in seen for n, p in one.parts.items()):
        told_of = tell_squares(part.picture, axis, part.place)
        notes.look(told_of, Path(part.place), f"{name} {part.place}")
    notes.warn()
    for name in names:  # each has a map of its own
        those = [one.parts[name] for one in seen if name in one.parts]
        warn_of_intents((part.place, part.picture.intent) for part in those)
        warn_of_directions((part.place, part.picture.directions) for part in those)
    titles = _titles(cohort, rows, names)
    subjects = subjects_of(rows, seen, titles)
    check_splits(rows, subjects)
    listing = as_rows(rows, seen, titles, subjects)
    if not any(row.subject for row in rows):
        warn_of_frames((file for row in rows for file in set(files_of(row))), cohort.root)
        unknown = [row for row, one in zip(listing, seen, strict=True) if not one.patient]
        warn_of_series(unknown, cohort.root, "add a column subject")
    warn_of_shortcuts(listing, seen, names, cohort.root)
    found = Found(
        cohort, names, tuple(rows), tuple(seen), tuple(titles), tuple(subjects),
        sort_rows(listing, cohort.root, config.seed, _LABELS),
    )  # fmt: skip
    check_found_copies(found, refuse=config.duplicates == "refuse")
    taught = [
        one for one, split in zip(seen, found.listing.splits, strict=True) if split == "train"
    ]
    maps = fit_maps(names, seen, taught, config.window, cohort.root)
    bringing = Bringing.of(config, reading, maps)
    shapes = bringing.shapes(names, seen)
    line = _check_memory(found, shapes, config.loader)
    if not told:
        print(line, file=sys.stderr)
    parts: dict[str, Split | LazySplit] = {}
    for split in SPLITS:
        places = found.places(split)
        labels, known = found.listing.labels[[i for i, _ in places]], common(found, places)
        if split == "train" and config.loader == "grain":
            (shape,) = shapes.values()
            parts[split] = lazy(rows, places, labels, bringing, shape, known)
        else:
            parts[split] = fill(rows, places, labels, bringing, shapes, kept, known)
    sums = {split: contents(found, split) for split in SPLITS}
    info = _info(found, bringing, shapes, config)
    return Splits(**parts, info=info, contents=sums)  # type: ignore[arg-type]


def list_cohort(config: ConfigDict) -> Cohort:
    """Lists a table, or a folder in the BIDS layout; of the files only whether they are there."""
    root = root_of(config)
    if root.is_dir():
        return list_bids(root, outside=config.outside)
    if not root.is_file():
        raise FileNotFoundError(
            f"no table (CSV) and no folder in the BIDS layout at {root} (--config.data.root)"
        )
    return list_table(root, outside=config.outside)


def _chosen(cohort: Cohort, modality: str) -> tuple[str, ...]:
    """The modalities that are read."""
    if not modality:
        return cohort.modalities
    if modality not in cohort.modalities:
        fact = any(modality in row.facts for row in cohort.rows)
        why = (
            ", but a column of facts, most of whose cells are no files that are there"
            if fact
            else ""
        )
        raise ValueError(
            f"--config.data.modality={modality}: {cohort.root} has no such modality{why}; it has "
            f"{listed(cohort.modalities)}"
        )
    return (modality,)


def _usable(cohort: Cohort, names: Sequence[str]) -> list[Examination]:
    """The examinations that have a label and one of these modalities; says which have not."""
    if not any(row.label for row in cohort.rows):
        raise ValueError(
            f"{cohort.root}: no examination has a label, and the families that there are learn classes: "
            f"give a column {LABEL!r} (in the BIDS layout: of participants.tsv){_likely(cohort)}"
        )
    reasons: dict[str, list[str]] = {}
    rows = []
    for row in cohort.rows:
        if not any(name in row.paths for name in names):
            reasons.setdefault(f"no {' or '.join(names)}", []).append(row.name)
        elif not row.label:
            reasons.setdefault("no label", []).append(row.name)
        else:
            rows.append(row)
    if reasons:
        words = [f"{len(n)} have {why} ({first_of(n, _SHOWN)})" for why, n in reasons.items()]
        warnings.warn(
            f"{cohort.root}: of {len(cohort.rows)} examinations {len(cohort.rows) - len(rows)} are left "
            f"out: {'; '.join(words)}",
            stacklevel=4,
        )
    if not rows:
        raise ValueError(f"{cohort.root}: no examination has a label and {' or '.join(names)}")
    return rows


def _likely(cohort: Cohort) -> str:
    name = likely(list(dict.fromkeys(name for row in cohort.rows for name in row.facts)), LABEL)
    return f"; is {name!r} the label? Rename it to {LABEL}" if name else ""


def _titles(cohort: Cohort, rows: Sequence[Examination], names: Sequence[str]) -> list[str]:
    """What tables call examinations: by a file, or by their row where files are called by subjects."""
    if cohort.root.is_file() and not cohort.named_by_files:
        return [row.name for row in rows]
    return [next(row.cells[name] for name in names if name in row.cells) for row in rows]


def _check_memory(found: Found, shapes: Mapping[str, tuple[int, ...]], loader: str) -> str:
    """Returns one line on what a list was taken for, and what its arrays take in memory.

    Raises:
        ValueError: more than the computer has.
    """
    splits = [s for s in SPLITS if s != "train" or loader != "grain"]
    count = sum(len(found.places(split)) for split in splits)
    size = count * sum(int(np.prod(shape)) for shape in shapes.values())
    of = [f"{name} {sum(name in one.parts for one in found.seen)}" for name in found.names]
    facts = dict.fromkeys(name for row in found.rows for name in row.facts)
    given = any(row.subject for row in found.rows)
    whom = f"{len(set(found.subjects))} subjects" if given else "no subjects named: each its own"
    words = [f"{len(found.rows)} examinations ({whom})", f"modalities {listed(of)}"]
    words += [f"facts {listed(facts)}"] if facts else []
    if size > (physical_memory() or size):
        raise ValueError(
            f"{found.cohort.root}: {count} examples take {size / 1e9:.1f} GB, more than this computer "
            "has: set --config.data.loader=grain, or a smaller --config.data.side"
        )
    words.append(f"{count} examples take {size / 1e6:.1f} MB in memory")
    return f"{found.cohort.root}: {'; '.join(words)}"


def _info(
    found: Found, bringing: Bringing, shapes: Mapping[str, tuple[int, ...]], config: ConfigDict
) -> Info:
    """The facts on the data set; of several modalities the first volume, or image, is the model's."""
    lines = [
        f"{t} {p.content}\n"
        for t, s in zip(found.titles, found.seen, strict=True)
        for p in s.parts.values()
    ]
    first = max(found.names, key=lambda name: len(shapes[name]))
    volumes = any(part.picture.dims == 3 for one in found.seen for part in one.parts.values())
    info = own_info(
        found.listing.classes, shapes[first], name=config.name, licence=_LICENCE,
        md5=digest("".join(sorted(lines)).encode()), source=str(found.cohort.root),
        intensity=bringing.maps[first], fit=config.fit, spacing=bringing.spacing(first, found.seen),
    )  # fmt: skip
    known = Wanted.of(config).facts() if volumes else {}
    info = dataclasses.replace(info, volumes=known, identity=reports(found) | columns(found))
    if len(found.names) == 1:
        return info
    modalities = {name: Modality("image", shape) for name, shape in shapes.items()}
    modalities["label"] = Modality("label", (), names=found.listing.classes)
    maps = {name: m for name, m in bringing.maps.items() if m != FULL}
    return dataclasses.replace(info, modalities=modalities, intensities=maps)
