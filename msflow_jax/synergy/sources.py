"""The examples that stages of SynerMedGen learn from."""

from collections.abc import Mapping, Sequence

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Split
from msflow_jax.paired.pairs import has
from msflow_jax.synergy.settings import all_routes
from msflow_jax.training.source import Source


def some_subjects(split: Split, config: ConfigDict, share: float) -> Split:
    """The examples of a share of the subjects, drawn by the seed of the data."""
    if share >= 1:
        return split
    if split.groups is None:
        raise ValueError(
            f"a share of {share:g} of the subjects: the data do not say whom an image shows: set it to 1"
        )
    subjects = np.array(sorted(set(split.groups)))
    order = np.random.default_rng(config.data.seed).permutation(len(subjects))
    kept = set(subjects[order[: max(1, round(share * len(subjects)))]])
    return split.take(np.flatnonzero([one in kept for one in split.groups]))


def shown_source(split: Split, config: ConfigDict, what: str) -> Source:
    """All of the modalities, and which of them an example has: of examples that have both of a route."""
    names = config.model.modalities
    there = {name: has(split, name) for name in names}
    rows = np.flatnonzero(
        np.any([there[a] & there[b] for a, b in all_routes(config.model)], axis=0)
    )
    if not len(rows):
        raise ValueError(
            f"no example of the {what} split has both of a route between {', '.join(names)}: give "
            "registered modalities, or withhold less"
        )
    return _source(split, names, there, rows)


def labelled_source(split: Split, config: ConfigDict, what: str) -> Source:
    """The same of all examples that have any modality, with their class, ``label``."""
    names = config.model.modalities
    there = {name: has(split, name) for name in names}
    rows = np.flatnonzero(np.any(list(there.values()), axis=0))
    if not len(rows):
        raise ValueError(f"no example of the {what} split has any of {', '.join(names)}")
    return _source(split, names, there, rows, "label")


def _source(
    split: Split,
    names: Sequence[str],
    there: Mapping[str, np.ndarray],
    rows: np.ndarray,
    *more: str,
) -> Source:
    arrays = {name: split.arrays[name][rows] for name in (*names, *more)}
    modalities = {name: split.modalities[name] for name in arrays}
    return Source(arrays, modalities, present={name: has_[rows] for name, has_ in there.items()})
