"""What a MedMNIST set's name alone says: nothing is read."""

from __future__ import annotations

from collections.abc import Sequence

from msflow_jax.data.sources.medmnist.table import TABLE, of_finding

# As a user may give them; ``chestmnist:FINDING`` stands for each of its findings.
NAMES = tuple(
    f"{name}:FINDING" if entry.task.startswith("multi-label") else name
    for name, entry in TABLE.items()
)


def is_set(name: str) -> bool:
    """Whether this is a set of MedMNIST, with or without a finding."""
    return name.partition(":")[0] in TABLE


def dims_of(name: str, otherwise: int = 2) -> int:
    """Axes of space of a MedMNIST set; of other sources ``otherwise``."""
    return TABLE[name.partition(":")[0]].dims if is_set(name) else otherwise


def check_name(name: str, dims: int, classes: Sequence[str] = ()) -> None:
    """Refuses settings that the name of a source alone shows to be wrong.

    Raises:
        ValueError: classes named of what has names of its own, or of findings; a set without such a
            finding, or of other axes of space than asked for.
    """
    if classes and name not in ("masks", *NAMES):
        raise ValueError(
            f"data.map_classes names the classes of masks: {name!r} takes none, leave it empty (an own "
            ".npz by the name of a MedMNIST set without findings takes them)"
        )
    if not is_set(name):
        return
    flag, _, finding = name.partition(":")
    of_finding(flag, finding)
    if dims != (own := dims_of(name)):
        what = {2: "pictures", 3: "volumes"}[own]
        raise ValueError(f"{flag} holds {what}: set data.dims={own}, not {dims}")
