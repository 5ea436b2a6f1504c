"""TensorFlow Datasets by name (``tfds:colorectal_histology``), read without TensorFlow.

``tfds.data_source`` reads data sets prepared in the ArrayRecord format at random. Preparing one from its
publisher's files may need TensorFlow, as its builder says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import SPLITS, LazySplit, OpensLater, Splits, digest, in_memory, own_info
from msflow_jax.data.intensity import FULL, Intensity
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.decoding import decode
from msflow_jax.data.sources.fitting import fit_to_first
from msflow_jax.data.sources.grey.choice import spread
from msflow_jax.data.sources.grey.levels import to_grey
from msflow_jax.data.sources.grey.shades import Shades
from msflow_jax.data.sources.grey.values import Range, common_range, extent
from msflow_jax.data.sources.tfds.trust import check_features
from msflow_jax.data.splitting import PATTERN, VAL_PATTERN, assign
from msflow_jax.progress import track
from msflow_jax.storage.places import expand

# As TFDS spells names itself, so that the folder looked at is the folder read.
_NAME = re.compile(r"[a-z0-9_]+(/[\w.-]+)?(:[\d.*]+)?")
_NAMES = {"train": "train", "validation": "val", "val": "val", "test": "test"}


class TfdsReader(OpensLater):
    """Reads images by index; each process opens the data set for itself.

    Args:
        folder: the prepared data set's folder (with its version).
        parts: ``(split in TFDS, index there)`` of each image.
        key: name of the image feature.
        shape: shape of the images that all must have.
        side: rows and columns of the images, see ``fitting.fit_to_first``.
        channels: channels of the images, see ``fitting.fit_to_first``.
        fit: what happens to those that are not square, see ``fitting.fit_to_first``.
        intensity: how their values become grey levels.
    """

    def __init__(
        self,
        folder: str,
        parts: list[tuple[str, int]],
        key: str,
        shape: tuple[int, ...],
        side: int,
        channels: int,
        fit: str,
        intensity: Intensity = FULL,
    ):
        super().__init__()
        self._folder, self._parts, self._key = folder, parts, key
        self._shape, self._fit, self._map = shape, (side, channels, fit), intensity

    def __call__(self, index: int) -> np.ndarray:
        """Returns image ``index``, uint8 ``[S, S, C]``."""
        split, at = self._parts[index]
        if split not in self._open:
            self._open[split] = _source(_builder_from(self._folder), split, self._key)
        where = Path(f"{self._folder}, {split} {at}")
        picture = Picture(_pixels(self._open[split][at][self._key], where))
        image = to_grey(picture, self._map, str(where))
        return fit_to_first(image, str(where), self._shape, *self._fit)


def load(config: ConfigDict) -> Splits:
    """Loads ``tfds:NAME`` (or ``tfds:NAME/CONFIG:VERSION``) from ``config.root``.

    Splits that the data set does not have are cut from its ``train``, as for a folder of images.

    Raises:
        ImportError: if ``tensorflow_datasets`` is not installed.
        FileNotFoundError: if the data set is not prepared there and ``config.download`` is False.
        ValueError: if it has no image and label, or images that differ in size where no side is given.
    """
    builder = _prepared(config)
    image, label = _features(builder)
    parts = [
        (split, at)
        for split in builder.info.splits
        if split in _NAMES
        for at in range(builder.info.splits[split].num_examples)
    ]
    labels, sums = _labels(builder, parts, image, label)
    splits = np.array(_cut(parts, labels, config.seed, builder.name))
    folder = str(builder.data_path)
    found_range = _range(builder, parts, image)
    intensity = Intensity("range", found_range[0], found_range[1]) if found_range else FULL
    first = _pixels(_source(builder, parts[0][0], image)[0][image], Path(folder))
    first = to_grey(Picture(first), intensity, folder)
    shape = fit_to_first(first, folder, None, config.side, config.channels, config.fit).shape
    found, contents = {}, {}
    for split in SPLITS:
        index = np.flatnonzero(splits == split)
        chosen = [parts[i] for i in index]
        reader = TfdsReader(
            folder, chosen, image, shape, config.side, config.channels, config.fit, intensity
        )
        names = tuple(f"{name}/{at:05d}" for name, at in chosen)
        found[split] = LazySplit(reader, labels[index], names, shape)
        contents[split] = tuple(sums[i] for i in index)
    info = own_info(
        builder.info.features[label].names, shape, name=config.name,
        licence=str(builder.info.redistribution_info.license or "see the publisher"),
        md5=digest(_identity(builder).encode()), source=folder, intensity=intensity,
        fit=config.fit,
    )  # fmt: skip
    val, test = in_memory(found["val"]), in_memory(found["test"])
    shades = Shades()  # of images that are in memory: all are of one map
    for i in spread(range(len(val))):
        shades.look(val.images[i], val.names[i])
    shades.warn(FULL, folder, "validation images")
    return Splits(found["train"], val, test, info, contents)


def _tfds() -> Any:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            "data.name='tfds:NAME' needs tensorflow-datasets: pip install 'msflow_jax[tfds]'"
        ) from error
    return tfds


def _builder_from(folder: str) -> Any:
    return _tfds().builder_from_directory(folder)


def _prepared(config: ConfigDict) -> Any:
    """Returns the builder of a data set whose ArrayRecord files are there."""
    name = config.name.partition(":")[2]
    if not _NAME.fullmatch(name):
        raise ValueError(f"data.name='tfds:{name}': expected tfds:NAME or tfds:NAME/CONFIG:VERSION")
    root = expand(config.root or "~/tensorflow_datasets")
    check_features(root / re.split("[/:]", name)[0])
    tfds = _tfds()
    try:
        builder = tfds.builder(name, data_dir=root, file_format="array_record")
    except Exception as error:  # tfds raises its own kinds, and some of registered builders
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{config.name} cannot be opened in {root}: {reason}") from error
    if builder.is_prepared():
        return builder
    if not config.download:
        raise FileNotFoundError(
            f"{config.name} is not prepared in {root} as ArrayRecord (--config.data.root): "
            "--config.data.download=True fetches and prepares it, or prepare it elsewhere with "
            f"`tfds build {name} --file_format=array_record`"
        )
    builder.download_and_prepare(file_format="array_record")
    return builder


def _features(builder: Any) -> tuple[str, str]:
    """Names of the image and the label, by what the data set calls its supervised keys."""
    keys = builder.info.supervised_keys or ("image", "label")
    features = builder.info.features
    if len(keys) != 2 or not all(key in features for key in keys):
        raise ValueError(
            f"tfds:{builder.name} has no image and label, but {', '.join(sorted(features))}"
        )
    image, label = keys
    if not hasattr(features[label], "names") or len(features[image].shape) != 3:
        raise ValueError(
            f"tfds:{builder.name}: {image} of shape {features[image].shape} and {label} are no image "
            "and class label"
        )
    return image, label


def _source(builder: Any, split: str, image: str) -> Any:
    """Random access to a split; encoded images come as bytes."""
    tfds = _tfds()
    encoded = isinstance(builder.info.features[image], tfds.features.Image)
    decoders = {image: tfds.decode.SkipDecoding()} if encoded else None
    return builder.as_data_source(split=split, decoders=decoders)


def _pixels(value: Any, where: Path) -> np.ndarray:
    if isinstance(value, bytes):
        return decode(value, where)
    if value.dtype.kind not in "uif":
        raise ValueError(f"{where} is {value.dtype}, expected numbers")
    return np.asarray(value)


def _range(builder: Any, parts: list[tuple[str, int]], image: str) -> Range:
    """The range of all images where they have more than 8 bits, for which all are read; else empty."""
    if np.dtype(builder.info.features[image].np_dtype) == np.uint8:
        return ()
    sources = {name: _source(builder, name, image) for name in dict.fromkeys(n for n, _ in parts)}
    found = []
    for name, at in track(parts, "Measuring images"):
        where = f"{builder.data_path}, {name} {at}"
        found.append(extent(_pixels(sources[name][at][image], Path(where)), where))
    return common_range(found)


def _labels(
    builder: Any, parts: list[tuple[str, int]], image: str, label: str
) -> tuple[np.ndarray, list[str]]:
    """Label and MD5 of every image, in the order of ``parts``; encoded images are not decoded."""
    names = dict.fromkeys(split for split, _ in parts)
    sources = {name: _source(builder, name, image) for name in names}
    rows = track(parts, "Reading labels")
    labels, sums = [], []
    for name, at in rows:
        row = sources[name][at]
        labels.append(row[label])
        pixels = row[image]
        sums.append(digest(pixels if isinstance(pixels, bytes) else np.asarray(pixels).tobytes()))
    return np.array(labels, np.int32), sums


def _cut(parts: list[tuple[str, int]], labels: np.ndarray, seed: int, name: str) -> list[str]:
    """Returns each image's split: the data set's own, and what is missing cut from its train."""
    splits = [_NAMES[split] for split, _ in parts]
    missing = {"val", "test"} - set(splits)
    if not missing:
        return splits
    if missing == {"test"}:
        raise ValueError(f"tfds:{name} has a validation but no test split: it cannot be used as is")
    train = [i for i, split in enumerate(splits) if split == "train"]
    pattern = PATTERN if "test" in missing else VAL_PATTERN
    groups = [f"{parts[i][0]}/{parts[i][1]}" for i in train]
    fresh = assign(groups, labels[train].tolist(), seed, pattern)
    for i, split in zip(train, fresh, strict=True):
        splits[i] = split
    return splits


def _identity(builder: Any) -> str:
    """Name, version, and the number and bytes of every split: what tfds records."""
    splits = [f"{k} {s.num_examples} {s.num_bytes}" for k, s in builder.info.splits.items()]
    return "\n".join([builder.info.full_name, *splits])
