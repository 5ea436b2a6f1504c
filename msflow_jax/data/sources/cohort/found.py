"""What a cohort is, before any array is made of it: who is in which split, and what is odd about it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.data.base import SPLITS, digest
from msflow_jax.data.oddities import check_copies
from msflow_jax.data.slices import NO_SLICE, SLICE, VOLUME
from msflow_jax.data.sources.cohort.arrays import Place
from msflow_jax.data.sources.cohort.columns import REPORT
from msflow_jax.data.sources.cohort.seen import Seen
from msflow_jax.data.sources.cohort.table import Cohort, Examination
from msflow_jax.data.sources.listings.folders import Listing
from msflow_jax.storage.text import listed


@dataclass(frozen=True)
class Found:
    """The examinations of a cohort that are used, sorted into splits, none of their arrays made.

    Attributes:
        cohort: where they were listed.
        names: the modalities that are read.
        rows: the examinations.
        seen: what each one is.
        titles: what tables call them.
        subjects: whom they show; written nowhere.
        listing: their classes, labels and splits.
    """

    cohort: Cohort
    names: tuple[str, ...]
    rows: tuple[Examination, ...]
    seen: tuple[Seen, ...]
    titles: tuple[str, ...]
    subjects: tuple[str, ...]
    listing: Listing

    def places(self, split: str) -> list[Place]:
        """The examples of a split."""
        index = np.flatnonzero(self.listing.splits == split).tolist()
        return [(i, number) for i in index for number in self.seen[i].numbers]


def check_found_copies(found: Found, *, refuse: bool) -> None:
    """Refuses, or reports, equal images in two splits, and says of two in an examination.

    Images are compared by their numbers, whatever the type of their files, and whichever modalities they
    are listed as.

    Raises:
        ValueError: as :func:`check_copies`.
    """
    at = {s: np.flatnonzero(found.listing.splits == s).tolist() for s in SPLITS}
    shown = {s: [(i, name) for i in at[s] for name in found.seen[i].parts] for s in SPLITS}
    alone = len(found.names) == 1
    check_copies(
        {
            s: [found.titles[i] + ("" if alone else f", {name}") for i, name in images]
            for s, images in shown.items()
        },
        {s: found.listing.labels[[i for i, _ in images]] for s, images in shown.items()},
        {s: [found.seen[i].parts[name].copy for i, name in images] for s, images in shown.items()},
        f"{found.cohort.root}, {found.names[0]}" if alone else str(found.cohort.root),
        refuse=refuse,
    )
    for row, one in zip(found.rows, found.seen, strict=True):
        if len({part.copy for part in one.parts.values()}) < len(one.parts):
            warnings.warn(
                f"{row.where}: equal images under two modalities of {listed(one.parts)}",
                stacklevel=4,
            )
            return


def common(found: Found, places: Sequence[Place]) -> dict[str, Any]:
    """Names, subjects and facts of the examples of a split."""
    rows = [found.rows[i] for i, _ in places]
    columns = dict.fromkeys(name for row in found.rows for name in row.facts)
    truth = {n: np.array([row.facts.get(n, "") for row in rows], np.str_) for n in columns}
    if any(number != NO_SLICE for one in found.seen for number in one.numbers):
        truth[VOLUME] = np.array([found.titles[i] for i, _ in places], np.str_)
        truth[SLICE] = np.array([number for _, number in places], np.int32)
    if any(row.report for row in found.rows):
        truth[REPORT] = np.array([row.report for row in rows], object)
    names = [found.titles[i] + (f"/{k:03d}" if k != NO_SLICE else "") for i, k in places]
    return {
        "names": tuple(names),
        "groups": tuple(found.subjects[i] for i, _ in places),
        "truth": truth or None,
    }


def contents(found: Found, split: str) -> tuple[str, ...]:
    """The MD5 of what each example shows."""
    return tuple(
        digest(*(p.content.encode() for p in found.seen[i].parts.values()), str(number).encode())
        for i, number in found.places(split)
    )


def columns(found: Found) -> dict[str, str]:
    """The MD5 of which image lies in which column, likewise; nothing of a single one.

    Their order does not matter, but whether ``t1w`` and ``t2w`` are exchanged.
    """
    if len(found.names) == 1:
        return {}
    lines = [f"{name}\t{p.content}" for one in found.seen for name, p in one.parts.items()]
    return {"columns": digest("\n".join(sorted(lines)).encode())}


def reports(found: Found) -> dict[str, str]:
    """The MD5 of the texts, a part of the cohort's identity; nothing where no examination has one."""
    if not any(row.report for row in found.rows):
        return {}
    pairs = zip(found.titles, found.rows, strict=True)
    return {"reports": digest("\n".join(sorted(f"{t}\t{r.report!r}" for t, r in pairs)).encode())}
