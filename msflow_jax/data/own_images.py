"""Which images from elsewhere are those of a run's own data: by their pixels, else by their names."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence

from msflow_jax.data.base import SPLITS, Split, Splits
from msflow_jax.data.identity import contents_of, pixels_of, split_table
from msflow_jax.data.oddities import check_copies

PIXELS = "pixels"


def table_with_pixels(splits: Splits) -> list[dict[str, str]]:
    """:func:`split_table` with the MD5 of what the model sees of each example.

    Empty where the images are read while training, which are not read for this alone.
    """
    # Those of a cohort, whose wholes were compared as files, are not made before.
    rows, sums = split_table(splits), splits.pixels or pixels_of(splits)
    every = [one for split in SPLITS for one in sums[split]] if sums else [""] * len(rows)
    return [{**row, PIXELS: one} for row, one in zip(rows, every, strict=True)]


def warn_of_copies(
    source: str, split: Split, table: Sequence[Mapping[str, str]], *, named: bool = True
) -> None:
    """Lines on images from elsewhere that are equal under two labels, or are of the run's own data.

    Args:
        source: where they come from.
        split: the images with their labels, as the model sees them.
        table: the run's own, as it was kept; of before there were pixels it has names alone.
        named: whether names are the images' own, so that equal ones say something.
    """
    flat = split.images.reshape(len(split), -1)
    shows = (flat != flat[:, :1]).any(axis=1)  # slices of one value are no copies of each other
    sums = [
        one if seen else name
        for name, one, seen in zip(split.names, contents_of(split), shows, strict=True)
    ]
    check_copies(
        {source: split.names}, {source: split.labels}, {source: sums}, source, refuse=False
    )
    own = {row[PIXELS]: row for row in table if row.get(PIXELS)}
    same = [(name, own[one]) for name, one in zip(split.names, sums, strict=True) if one in own]
    _warn(source, split, same, "are, pixel by pixel, images of the run's own data")
    if named and not same:
        called = {row["name"]: row for row in table}
        alike = [(name, called[name]) for name in split.names if name in called]
        _warn(source, split, alike, "are called as images of the run's own data are")


def _warn(
    source: str, split: Split, found: Sequence[tuple[str, Mapping[str, str]]], what: str
) -> None:
    if not found:
        return
    counts = Counter(row["split"] for _, row in found)
    words = ", ".join(f"{n} in {name}" for name, n in counts.most_common())
    name, row = found[0]
    other = "" if row["name"] == name else f", {row['name']}"
    warnings.warn(
        f"{source}: {len(found)} of {len(split)} images {what} ({words}), {name} "
        f"for one{other}: leave out what the model was trained on",
        stacklevel=4,
    )
