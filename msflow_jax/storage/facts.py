"""What a checkpoint was made with, kept beside it: the settings, the facts on the data, and its metrics.

``config.json`` and ``manifest.json`` can be edited, or copied from another run; a checkpoint says of
itself what they must hold.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msflow_jax.settings import leaves
from msflow_jax.storage.archives import file_sha256
from msflow_jax.storage.jsons import read_object

ITEM = "facts"  # of a checkpoint
TEACHER = "teacher"  # folder of what a distilled run learned from
# Leaves that change no result of a trained model: where data lie, how they are read, how it was trained
# (but for _NEEDED), how much is computed at once, remarks.
HARMLESS = (
    *("config.data.root", "config.data.download", "config.data.md5", "config.data.loader"),
    *("config.data.workers", "config.data.duplicates", "config.data.outside"),
    *("config.data.phantoms.cache", "config.model.shared_subjects"),
    *("config.train.", "config.sample.batch", "config.model.latent.cache", "config.model.latent.batch"),
    *("data.licence", "data.source"),
)  # fmt: skip
# Of training: what picks the checkpoint, the side that a model sees, the prior of its posterior, and the
# validation images that it is calibrated by.
_NEEDED = tuple(f"config.train.{one}" for one in ("select", "crop", "balanced", "calibrate_every"))


def made_with(config: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of a configuration and of the facts on data that change a result, by dotted key."""
    found = leaves({"config": config, "data": data})
    # What is a tuple in a configuration is a list in JSON.
    plain = {key: list(v) if isinstance(v, tuple) else v for key, v in found}
    return {key: value for key, value in sorted(plain.items()) if matters(key)}


def digests(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of the files of these names, or of all files in the folders of these names, by path."""
    found = {}
    for name in names:
        place = folder / name
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = file_sha256(path)
    return found


def matters(key: str) -> bool:
    """Whether a leaf changes a result."""
    return key in _NEEDED or not any(
        key == one or (one.endswith(".") and key.startswith(one)) for one in HARMLESS
    )


def difference(made: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first leaf in which two results of :func:`made_with` differ, in words; empty for none."""
    for key in sorted(made.keys() | now.keys()):
        then, here = made.get(key), now.get(key)
        if then != here:
            part, _, name = key.partition(".")
            file = "config.json" if part == "config" else "manifest.json"
            name = name if part == "config" else key
            return f"{file} has {name}={here!r}, the checkpoint was made with {then!r}"
    return ""


def read(step: Path) -> dict[str, Any] | None:
    """What a checkpoint says of itself: ``made`` and ``metrics``; None where it says nothing.

    Args:
        step: folder of the checkpoint.

    Raises:
        ValueError: it is damaged, or the metrics of the checkpoint are not those that were saved.
    """
    path, measured = step / ITEM / "metadata", step / "metrics" / "metrics"
    remedy = f"restore it from a copy, or remove {step} to use the others"
    try:
        found = read_object(path, remedy)
    except FileNotFoundError:
        return None
    if not isinstance(found.get("made"), dict) or not isinstance(found.get("metrics"), dict):
        raise ValueError(f"{path} is damaged (made or metrics is missing): restore it from a copy")
    there = read_object(measured, remedy) if measured.is_file() else {}
    if json.dumps(there, sort_keys=True) != json.dumps(
        found["metrics"], sort_keys=True
    ):  # NaN as well
        raise ValueError(
            f"{measured} does not hold the metrics that were saved with the checkpoint: {remedy}"
        )
    return found


def steps(folder: Path) -> list[Path]:
    """Folders of the complete checkpoints of a workdir or of one of its stages, oldest first."""
    found = (path.parent for path in (folder / "checkpoints").glob("*/ema"))
    return sorted((p for p in found if p.name.isdecimal()), key=lambda p: int(p.name))
