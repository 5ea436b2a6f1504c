"""Which slices of a cohort can be asked about, where they lie, and which lie near or elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from msflow_jax.data.slices import NO_SLICE, SLICE, VOLUME
from msflow_jax.data.split import Split
from msflow_jax.storage.text import listed

CANDIDATES = 4  # panels to choose from, of which one is the target


@dataclass(frozen=True)
class Pool:
    """Where the slices of a split lie.

    Attributes:
        volume: number of the volume of each example, int ``[N]``; -1 where it is no slice.
        number: its slice's number in the volume, int ``[N]``.
        rank: its place among the slices of the volume that there are, int ``[N]``, from 0.
        subject: number of its subject, int ``[N]``.
        slices: positions of each volume's slices in their order.
        there: which examples have a modality, bool ``[N]`` by name.
        shown: which of these are not black throughout, bool ``[N]``: a black image shows nothing that
            could be asked for, and is at most a wrong candidate.
    """

    volume: np.ndarray
    number: np.ndarray
    rank: np.ndarray
    subject: np.ndarray
    slices: tuple[np.ndarray, ...]
    there: Mapping[str, np.ndarray]
    shown: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, split: Split, names: Sequence[str]) -> Pool:
        """The slices of a split.

        Args:
            split: slices of registered volumes, with the facts ``volume`` and ``slice``.
            names: modalities.

        Raises:
            ValueError: no slices; a modality that the data lack, or that is one picture for a whole
                volume; modalities of different shapes, or not of 8 bits.
        """
        truth = split.truth or {}
        sliced = np.zeros(len(split), bool)
        if VOLUME in truth and SLICE in truth:
            sliced = np.asarray(truth[SLICE]) != NO_SLICE
        if not sliced.any():
            raise ValueError(
                "the examples are no slices of volumes, of which understanding tasks are made: give "
                "volumes, with data.dims=2"
            )
        number = np.asarray(truth[SLICE]).astype(int)
        # Counted among slices alone, as ``slices`` are: an examination of pictures has no number.
        volume = np.full(len(split), -1)
        names_of = np.asarray(truth[VOLUME])[sliced]
        volume[sliced] = np.unique(names_of, return_inverse=True)[1].reshape(-1)
        order = np.lexsort((number, volume))
        order = order[sliced[order]]
        ends = np.flatnonzero(np.diff(volume[order])) + 1
        slices = tuple(np.split(order, ends))
        rank = np.zeros(len(split), int)
        for positions in slices:
            rank[positions] = np.arange(len(positions))
        _check_images(split, names)
        there = {name: sliced & _present(split, name) for name in names}
        shown = {name: has & _not_black(split.arrays[name]) for name, has in there.items()}
        whom = volume if split.groups is None else np.unique(split.groups, return_inverse=True)[1]
        found = cls(volume, number, rank, whom.reshape(-1), slices, there, shown)
        for name in names:
            if found.one_picture(split.arrays[name], shown[name]):
                raise ValueError(
                    f"{name} is the same picture in all slices of a volume, so that no slice of it can "
                    "be told from another: take it out of the modalities"
                )
        return found

    def pairs(self, names: Sequence[str]) -> dict[tuple[int, int], np.ndarray]:
        """Examples that show both modalities of a route, by the route; those of none are left out."""
        found = {}
        for a, b in itertools.combinations(range(len(names)), 2):
            both = np.flatnonzero(self.shown[names[a]] & self.shown[names[b]])
            if len(both):
                found[a, b] = found[b, a] = both
        return dict(sorted(found.items()))

    def near(
        self, row: int, name: str, reach: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        """Three other slices of the same volume in a modality.

        How many of them lie before the slice is drawn first, 0 to 3 alike: were they drawn from both
        sides at once, the middle one of the four would mostly be the target, source unseen. Where the
        reach does not hold three, the nearest further ones follow, then nearer ones.

        Args:
            row: position of the target.
            name: modality, which at least four slices of the volume have.
            reach: fewest and most slices between them and the target.
            rng: source of chance.
        """
        low, high = reach
        places = self.slices[self.volume[row]]
        places = places[self.there[name][places]]
        signed = self.rank[places] - self.rank[row]
        away = np.abs(signed)
        within = (low <= away) & (away <= high)
        before, after = places[within & (signed < 0)], places[within & (signed > 0)]
        wanted = CANDIDATES - 1
        fewest, most = max(0, wanted - len(after)), min(wanted, len(before))
        if fewest <= most:
            count = int(rng.integers(fewest, most + 1))
            parts = ((before, count), (after, wanted - count))
            return np.concatenate([rng.choice(some, k, replace=False) for some, k in parts])
        cost = np.where(within, 0, np.where(away > high, away, away.max() + low - away))
        others = places[signed != 0]
        return others[np.argsort(cost[signed != 0], kind="stable")][:wanted]

    def elsewhere(
        self, rows: Sequence[int], name: str, count: int, rng: np.random.Generator
    ) -> list[int]:
        """Some slices of other subjects, at other places of their volumes, in a modality.

        Args:
            rows: positions of slices of one subject; what is drawn lies at the place of none of them,
                or where there is not so much, not at that of the first.
            name: modality.
            count: how many.
            rng: source of chance.

        Raises:
            ValueError: there are not so many.
        """
        foreign = self.shown[name] & (self.subject != self.subject[rows[0]])
        for taken in (list(rows), [rows[0]]):
            apart = ~np.isin(self.rank, self.rank[taken]) & ~np.isin(
                self.number, self.number[taken]
            )
            others = np.flatnonzero(foreign & apart)
            if len(others) >= count:
                return rng.choice(others, count, replace=False).tolist()
        raise ValueError(
            f"{len(others)} slices in {name} of other subjects at other places, of which this arm needs "
            f"{count}: give more subjects"
        )

    def check_volumes(self, names: Sequence[str]) -> None:
        """Refuses volumes too short for a target and three wrong candidates.

        Raises:
            ValueError: there is one; says of how many subjects.
        """
        for name in names:
            counts = np.bincount(self.volume[self.there[name]], minlength=len(self.slices))
            short = np.isin(self.volume, np.flatnonzero(counts < CANDIDATES)) & self.shown[name]
            if short.any():
                raise ValueError(
                    f"{len(set(self.subject[short]))} of {len(set(self.subject[self.shown[name]]))} "
                    f"subjects have fewer than {CANDIDATES} slices in {name}: take more of a volume by "
                    "data.slices, leave these subjects out, or choose the arm no_selection"
                )

    def one_picture(self, images: np.ndarray, shown: np.ndarray) -> bool:
        """Whether all slices of a volume have the same picture ``[N, ...]``, as of an X-ray."""
        for positions in self.slices:
            mine = positions[shown[positions]]
            if len(mine) > 1:
                return bool((images[mine] == images[mine[0]]).all())
        return False


def sliced_modalities(split: Split) -> tuple[str, ...]:
    """The modalities whose pictures differ between slices of a volume, in the order of the split.

    Raises:
        ValueError: the examples are no slices.
    """
    pool, found = Pool.of(split, ()), []
    for name, one in split.modalities.items():
        if one.kind == "image":
            shown = _present(split, name) & _not_black(split.arrays[name])
            found += [] if pool.one_picture(split.arrays[name], shown) else [name]
    return tuple(found)


def _present(split: Split, name: str) -> np.ndarray:
    return np.asarray(split.present.get(name, np.ones(len(split), bool)))


def _not_black(images: np.ndarray) -> np.ndarray:
    return np.asarray(images.reshape(len(images), -1).any(axis=1))


def _check_images(split: Split, names: Sequence[str]) -> None:
    kinds = split.modalities
    images = [name for name, one in kinds.items() if one.kind == "image"]
    for name in names:
        if name not in images:
            raise ValueError(f"the data have no modality {name!r}: there are {listed(images)}")
        found, first = split.arrays[name], split.arrays[names[0]]
        if found.dtype != np.uint8 or found.ndim != 4:
            raise ValueError(f"{name} must be uint8 [N, H, W, C], got {found.dtype} {found.shape}")
        if found.shape != first.shape:
            raise ValueError(
                f"{name} is {list(found.shape[1:])}, but {names[0]} {list(first.shape[1:])}: bring them "
                "to one size by data.side"
            )
