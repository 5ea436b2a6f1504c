"""ArrayRecord shards as ``msflow pack`` writes them: few large files, read at random.

A folder holds, for each split, a CSV (``name,label,md5[,subject][,volume,slice]``, a line per image) and
shards such as ``train-00000-of-00008.arrayrecord``, whose records follow the lines of the CSV; and
``manifest.json`` with the classes, the shape, how images were fitted to it, the map of values that were
brought to 8 bits, if any, and the number, bytes and SHA-256 of every shard. A record is an image file of
8 bits (PNG, or the original file), of a volume ``[D, H, W, C]`` a PNG of ``D * H`` rows, its slices one
below the other; ``md5`` is of the file that it was made from, ``subject`` a number.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import (
    SPLITS,
    LazySplit,
    OpensLater,
    Splits,
    digest,
    in_memory,
    own_info,
)
from msflow_jax.data.slices import SLICE, VOLUME
from msflow_jax.data.sources.decoding import decode
from msflow_jax.data.sources.fitting import fit_to_first
from msflow_jax.data.sources.packs.manifest import (
    MANIFEST,
    intensity_of,
    read_manifest,
    spacing_of,
)
from msflow_jax.data.sources.shaping import Shaping
from msflow_jax.data.sources.tables.reading import read_table
from msflow_jax.storage.archives import file_sha256
from msflow_jax.storage.content import describe_file
from msflow_jax.storage.places import expand
from msflow_jax.storage.text import uncell


class RecordReader(OpensLater):
    """Reads records by index over several shards; each process opens its own files.

    Args:
        shards: paths of the shards, in order.
        counts: records in each.
        shape: shape of the images.
        stored: shape of those in the records, where they are volumes.
        side: rows and columns of the images, see ``fitting.fit_to_first``.
        channels: channels of the images, see ``fitting.fit_to_first``.
    """

    def __init__(
        self,
        shards: Iterable[Path],
        counts: Iterable[int],
        shape: tuple[int, ...],
        side: int = 0,
        channels: int = 0,
        stored: tuple[int, ...] = (),
    ):
        super().__init__()
        self._shards, self._shape, self._fit = tuple(shards), shape, (side, channels)
        self._stored = stored
        self._ends = np.cumsum(tuple(counts)).tolist()

    def __call__(self, index: int) -> np.ndarray:
        """Returns image ``index``, uint8 ``[*space, C]``.

        Raises:
            ValueError: if the record is damaged; names file and position.
        """
        shard = bisect.bisect_right(self._ends, index)
        at = index - (self._ends[shard - 1] if shard else 0)
        where = Path(f"{self._shards[shard]}, record {at}")
        if shard not in self._open:
            self._open[shard] = open_shard(self._shards[shard])
        try:
            data = self._open[shard].read([at])[0]
        except Exception as error:  # whatever a damaged file raises inside the reader
            raise ValueError(_damaged(where, str(error))) from error
        image = decode(data, where)
        if len(self._stored) == 4:
            image = image.reshape(self._stored)
        if (
            image.dtype != np.uint8
        ):  # packed by a version that scaled by the type, not by the values
            raise ValueError(
                f"{where} has more than 8 bits for each value, of a range that the pack does not name: "
                "pack the images again"
            )
        # Those of a pack are square: no fit is applied.
        if image.ndim == 4:
            return Shaping(*self._fit, "stretch")(image, (), str(where), self._shape)
        return fit_to_first(image, str(where), self._shape, *self._fit, "stretch")


def open_shard(path: Path) -> Any:
    """Returns the file's ArrayRecordReader.

    Raises:
        ImportError: if ``array_record`` is not installed.
        ValueError: if the file is no ArrayRecord.
    """
    reader = array_record().ArrayRecordReader
    try:
        return reader(str(path), options="readahead_buffer_size:0")
    except Exception as error:  # whatever a damaged file raises
        raise ValueError(_damaged(path, str(error))) from error


def array_record() -> Any:
    """Returns the module that reads and writes the format."""
    try:
        from array_record.python import array_record_module
    except ImportError as error:
        raise ImportError(
            "ArrayRecord files need the package array_record: pip install 'msflow_jax[grain]'"
        ) from error
    return array_record_module


def load(config: ConfigDict) -> Splits:
    """Loads packed images (``--config.data.name=arrayrecord``).

    Raises:
        FileNotFoundError: if the folder, or a file of it, is missing.
        ValueError: if a file is not what the manifest says.
    """
    root = expand(config.root)
    manifest = read_manifest(root)
    side, channels = config.side, config.channels
    packed = manifest["shape"]
    space = [side or size for size in packed[:-1]]
    shape = (*space, channels or packed[-1])
    parts, contents = {}, {}
    for split in SPLITS:
        table, labels = _read_table(root, split, manifest)
        shards = [s for s in manifest["shards"] if s["split"] == split]
        for shard in shards:
            _check_size(root / shard["file"], shard["bytes"])
        reader = RecordReader(
            [root / s["file"] for s in shards], [s["records"] for s in shards],
            shape, side, channels, tuple(packed),
        )  # fmt: skip
        known: dict[str, Any] = {VOLUME: np.str_, SLICE: np.int32}
        truth = {name: np.array(table[name], kind) for name, kind in known.items() if name in table}
        parts[split] = LazySplit(
            reader, labels, table["name"], shape, table.get("subject"), truth or None
        )
        if "md5" in table:  # since there are identities
            contents[split] = table["md5"]
    info = own_info(
        manifest["classes"], shape, name=manifest["name"], licence=manifest["licence"],
        md5=digest((root / MANIFEST).read_bytes()), source=str(root),
        intensity=intensity_of(manifest), spacing=spacing_of(manifest, space),
        fit=manifest.get("fit", "crop"),  # of packs of before there was a choice
    )  # fmt: skip
    info = dataclasses.replace(info, volumes=manifest.get("volumes", {}))
    val, test = in_memory(parts["val"]), in_memory(parts["test"])
    return Splits(parts["train"], val, test, info, contents)


def verify(root: Path, track: Any = iter) -> int:
    """Compares every file with the manifest's SHA-256; returns the number of files.

    Raises:
        ValueError: for the first file that differs.
    """
    manifest = read_manifest(root)
    files = [*manifest["shards"], *manifest["tables"]]
    for entry in track(files):
        _check_content(root / entry["file"], entry)
    return len(files)


def _read_table(
    root: Path, split: str, manifest: Any
) -> tuple[dict[str, tuple[str, ...]], np.ndarray]:
    """Columns of a split's table, checked against the manifest, and the labels ``[N]``."""
    entry = next(t for t in manifest["tables"] if t["split"] == split)
    path = root / entry["file"]
    _check_content(path, entry)
    header, lines = read_table(path, ("name", "label"))
    columns = {name: tuple(uncell(cells[i]) for _, cells in lines) for i, name in enumerate(header)}
    numbers = {name: k for k, name in enumerate(manifest["classes"])}
    if others := [label for label in columns["label"] if label not in numbers]:
        raise ValueError(f"{path} has the label {others[0]!r}, which {MANIFEST} does not list")
    count = sum(s["records"] for s in manifest["shards"] if s["split"] == split)
    if count != len(lines):
        raise ValueError(f"{path} lists {len(lines)} images, but the shards hold {count} records")
    return columns, np.array([numbers[label] for label in columns["label"]], np.int32)


def _check_size(path: Path, expected: int) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}, which {MANIFEST} lists: copy the folder again")
    if (size := path.stat().st_size) != expected:
        reason = f"it has {size:,} bytes, expected {expected:,}; it holds {describe_file(path)}"
        raise ValueError(_damaged(path, reason))


def _check_content(path: Path, entry: dict[str, Any]) -> None:
    _check_size(path, entry["bytes"])
    if file_sha256(path) != entry["sha256"]:
        raise ValueError(_damaged(path, "its SHA-256 is not the manifest's"))


def _damaged(path: Path, reason: str) -> str:
    return f"{path} is damaged ({reason}): copy it again, or pack the images once more"
