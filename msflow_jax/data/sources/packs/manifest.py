"""The ``manifest.json`` of a pack of images, and what it says of their values and voxels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.data.base import FITS, SPLITS
from msflow_jax.data.intensity import FULL, Intensity, is_range
from msflow_jax.storage.content import describe_file

MANIFEST = "manifest.json"
FORMAT = "msflow_jax arrayrecord 1"
VOLUMES = "msflow_jax arrayrecord 2"  # the same of volumes, whole or as slices


def intensity_of(manifest: Any) -> Intensity:
    if "intensity" in manifest:
        return Intensity(**manifest["intensity"])
    found = manifest.get("value_range", ())
    return Intensity("range", *found) if found else FULL


def spacing_of(manifest: Any, space: Sequence[int]) -> tuple[float, ...]:
    """Size of the voxels of packed volumes, brought to another size or not."""
    sizes = zip(manifest.get("spacing", ()), manifest["shape"], space, strict=False)
    return tuple(mm * old / new for mm, old, new in sizes)


def read_manifest(root: Path) -> dict[str, Any]:
    """Returns the manifest of a folder of shards.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged, or of another format.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(
            f"no {MANIFEST} in {root} (--config.data.root): pack the images with msflow pack, or "
            "repeat its command if it was interrupted"
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        _check_manifest(manifest)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise ValueError(
            f"{path} cannot be used ({reason}; it holds {describe_file(path)}): pack the images again"
        ) from error
    return manifest


def _check_manifest(manifest: Any) -> None:
    """Raises a ValueError, KeyError or TypeError unless all is there, and of its type."""
    shape = manifest["shape"]
    known = (FORMAT, VOLUMES)[len(shape) - 3 :]
    if manifest["format"] not in known:
        raise ValueError(f"its format is {manifest['format']!r}, expected {known[0]!r}")
    if not (len(shape) in (3, 4) and all(isinstance(n, int) and n > 0 for n in shape)):
        raise ValueError(f"its shape is {shape!r}")
    texts = [manifest["name"], manifest["licence"], *manifest["classes"]]
    for entry in (*manifest["tables"], *manifest["shards"]):
        texts += [entry["file"], entry["sha256"]]
        if not isinstance(entry["bytes"], int) or entry["split"] not in SPLITS:
            raise ValueError(f"an entry is {entry!r}")
        if Path(entry["file"]).name != entry["file"]:
            raise ValueError(f"the file {entry['file']!r} lies elsewhere")
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a name is no text")
    if manifest.get("fit", "crop") not in FITS or not is_range(manifest.get("value_range", (0, 1))):
        raise ValueError("its fit or its value_range is none")
    intensity_of(manifest)
    if not all(type(mm) in (int, float) and mm > 0 for mm in manifest.get("spacing", ())):
        raise ValueError("its spacing is no sizes in mm")
    if not all(isinstance(shard["records"], int) for shard in manifest["shards"]):
        raise TypeError("the number of records of a shard is no number")
    if sorted(table["split"] for table in manifest["tables"]) != sorted(SPLITS):
        raise ValueError("not one table for each split")
