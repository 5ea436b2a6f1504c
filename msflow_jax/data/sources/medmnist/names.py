"""What a MedMNIST set's name alone says: nothing is read."""

from __future__ import annotations

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


def check_name(name: str, dims: int) -> None:
    """Raises a ValueError where a set has no such finding, or other axes of space than asked for."""
    flag, _, finding = name.partition(":")
    of_finding(flag, finding)
    if dims != (own := dims_of(name)):
        what = {2: "pictures", 3: "volumes"}[own]
        raise ValueError(f"{flag} holds {what}: set data.dims={own}, not {dims}")
