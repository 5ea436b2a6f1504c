"""Whether the sets of a curriculum have subjects in common."""

import warnings
from collections.abc import Sequence

import numpy as np

from msflow_jax.data import Split
from msflow_jax.paired.pairs import has
from msflow_jax.paired.settings import REPORT


def check_subjects(split: Split, links: Sequence[tuple[str, ...]], shared: bool) -> None:
    """Looks whether the sets of two links have subjects in common.

    A route that was never trained, between modalities of different links, is only then known to be one
    if no subject had both. The set of a link are all who have what is new and what it attaches to: of
    several new ones the link itself wants all, but each is aligned and drawn by such a pair alone.

    Args:
        split: training examples.
        links: modalities of each link, what is new first.
        shared: whether they may; otherwise it is an error.

    Raises:
        ValueError: they may not, and do; names the links.
    """
    if split.groups is None:
        return
    groups = np.array(split.groups)
    sets: dict[tuple[str, ...], set[str]] = {}
    for link in links:
        known = has(split, link[-1])
        sets[link] = set().union(*(groups[has(split, new) & known] for new in link[:-1]))
    for i, one in enumerate(links):
        for other in links[:i]:
            # What attaches to one image modality may be one set: all contrasts of an MR examination.
            one_set = one[-1] == other[-1] != REPORT
            both = sets[one] & sets[other]
            if both and not one_set:
                text = (
                    f"{len(both)} training subjects are in the sets of both {'-'.join(other)} and "
                    f"{'-'.join(one)}: routes between them are not learned from disjoint subjects"
                )
                if not shared:
                    raise ValueError(
                        f"{text}. Give other subjects, or set model.shared_subjects=True"
                    )
                warnings.warn(text, stacklevel=2)
