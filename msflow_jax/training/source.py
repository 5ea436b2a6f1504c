"""What a run trains on: data that are kept on the device, a stream, or several of them by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from msflow_jax.data.modality import Modality, check_lengths, check_present, describe
from msflow_jax.data.split import LazySplit, Split
from msflow_jax.data.streaming import IMAGE_AND_LABEL, Stream, present_in, select


@dataclass(frozen=True)
class Source:
    """Training data that are kept whole on the device.

    Attributes:
        arrays: arrays ``[N, *shape]`` by their names in a batch.
        modalities: what each array is.
        flips: random flips of what moves, as for ``msflow_jax.data.order.windows``; of latents the flips
            are stored.
        present: whether each example has an array that it may lack, bool ``[N]`` by name.
    """

    arrays: Mapping[str, np.ndarray]
    modalities: Mapping[str, Modality]
    flips: tuple[str, ...] = ()
    present: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.arrays or set(self.arrays) != set(self.modalities):
            raise ValueError(
                f"a source needs a modality for each array: arrays {', '.join(self.arrays) or 'none'}, "
                f"modalities {', '.join(self.modalities) or 'none'}"
            )
        for name, array in self.arrays.items():
            self.modalities[name].check(array, name)
        check_lengths(len(self), self.arrays)
        check_present(self.arrays, self.present)

    @classmethod
    def of_arrays(
        cls,
        arrays: Mapping[str, np.ndarray],
        kinds: Mapping[str, str] | None = None,
        flips: tuple[str, ...] = (),
    ) -> "Source":
        """A source of plain arrays.

        Args:
            arrays: arrays ``[N, *shape]`` by their names in a batch.
            kinds: kind of each; those called ``image``, ``label`` or ``map`` need none.
            flips: random flips of what moves.
        """
        return cls(arrays, describe(arrays, kinds), flips)

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))


Sources = Source | Stream | Mapping[str, Source | Stream]


def source_of(
    split: Split | LazySplit,
    loader: str,
    workers: int,
    flips: tuple[str, ...] = (),
    arrays: Mapping[str, str] | None = None,
) -> Source | Stream:
    """The source of a split: kept on the device, or read while training.

    Args:
        split: training split.
        loader: ``device`` or ``grain``; a split that is read from files is never kept.
        workers: worker processes that read.
        flips: random flips of what moves.
        arrays: name of the split's array for each name in a batch; by default
            ``image`` and ``label``. ``{"image": "image", "label": "map"}`` learns a class per pixel.
    """
    chosen = IMAGE_AND_LABEL if arrays is None else arrays
    if loader != "device" or not isinstance(split, Split):
        return Stream(split, workers, flips, chosen)
    present = present_in(split, chosen)
    return Source(select(split.arrays, chosen), select(split.modalities, chosen), flips, present)


def count_examples(source: Sources) -> int:
    """Number of examples of a source; of several sets, that of the largest.

    Raises:
        ValueError: for an empty set, or no set at all.
    """
    sets = source if isinstance(source, Mapping) else {"": source}
    if not sets:
        raise ValueError("there is nothing to train on: give at least one source")
    if empty := [name for name, one in sets.items() if not len(one)]:
        raise ValueError("the training split is empty" + (f": {empty[0]}" if empty[0] else ""))
    return max(len(one) for one in sets.values())
