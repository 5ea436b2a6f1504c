"""Data sources behind one interface: MedMNIST, folders, CSV manifests, ArrayRecord, TFDS, head phantoms.

``load(config)`` gives the three splits as uint8 arrays with the facts on them (of train, where it is too
large for memory, a reader); ``read_images`` reads what a trained model is to classify. Layout
``[N, S, S, C]``.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import Info, LazySplit, Modality, Split, Splits, in_memory, some
from msflow_jax.data.sources.images import read_images
from msflow_jax.data.sources.medmnist_table import TABLE as _MEDMNIST

__all__ = [
    "Info",
    "LazySplit",
    "Modality",
    "Split",
    "Splits",
    "check",
    "default_config",
    "in_memory",
    "known",
    "load",
    "read_images",
    "some",
]


def known() -> tuple[str, ...]:
    """Returns the source names that ``load`` accepts; ``tfds:NAME`` stands for any name there."""
    return ("phantoms", "folder", "manifest", "own", "arrayrecord", "tfds:NAME", *_MEDMNIST)


def default_config(name: str = "phantoms") -> ConfigDict:
    """Returns the data config of a source, every field with its default.

    Fields:
        name: One of ``known()``.
        root: The .npz file or its folder (MedMNIST; empty: ``~/.medmnist``), the folder of class
            folders (``folder``), the CSV (``manifest``), either (``own``), what ``tools/pack.py`` wrote
            (``arrayrecord``), or the TFDS data folder (``tfds:NAME``; empty: ``~/tensorflow_datasets``).
        side: Height and width in pixels. 0: 28 (MedMNIST), 32 (phantoms), as stored (own files).
        channels: 1 grey, 3 RGB, 0 as stored (own files: as the first; phantoms: 1).
        seed: Seed of the phantoms and of the cut of own files into splits.
        md5: If set, the data must have it (``Info.md5``).
        download: Whether missing MedMNIST or TFDS data may be fetched from their publishers.
        loader: ``device`` reads the training images into the device's memory; ``grain`` reads and
            decodes them while training, for what does not fit there.
        workers: Worker processes of ``grain``; 0 reads in threads of the training process.
        phantoms: The phantoms' own settings, see ``msflow_jax.data.phantoms.heads``.
    """
    return ConfigDict(
        {
            "name": name,
            "root": "",
            "side": 0,
            "channels": 0,
            "seed": 0,
            "md5": "",
            "download": False,
            "loader": "device",
            "workers": 2,
            "phantoms": {
                "task": "grade",  # what the label says: grade, scanner or contrast
                "contrast": "flair",  # t1w, t2w, pdw, flair, t1ir or stir; ignored by task=contrast
                "subjects": 480,
                "slices": 4,  # per subject
                "noise": 0.02,  # standard deviation, as a share of the brightest grey value
                "bias": 0.2,  # spread of the smooth coil shading, as a share
            },
        }
    )


def check(config: ConfigDict) -> None:
    """Refuses a data source, loader or size that does not exist; reads nothing.

    Raises:
        ValueError: for such a setting; names it and what is known.
    """
    if config.name not in known() and not config.name.startswith(("tfds:", "own:")):
        raise ValueError(f"unknown data source {config.name!r}; known: {', '.join(known())}")
    if config.loader not in ("device", "grain") or config.workers < 0:
        raise ValueError(
            f"data.loader={config.loader!r}, data.workers={config.workers}: the loader is 'device' or "
            "'grain', the workers a number of processes, 0 for none"
        )
    if config.side < 0 or config.channels not in (0, 1, 3):
        raise ValueError(
            f"data.side={config.side}, data.channels={config.channels}: the side is a number of "
            "pixels or 0, the channels 1, 3 or 0"
        )


def load(config: ConfigDict) -> Splits:
    """Loads the source named by ``config.name``; see ``default_config`` for the fields.

    Returns:
        Train, val and test splits: images uint8 ``[N, S, S, C]``, labels int32 ``[N]``. With the loader
        ``grain``, train is a ``LazySplit`` where the source is not an array in memory anyway.

    Raises:
        FileNotFoundError: if the data is not where the config says; names the places looked at.
        ValueError: for an unknown source, or data that is damaged or not what the source should
            hold; names the file and the remedy.
    """
    check(config)
    splits = _source(config)
    if config.loader == "device":
        splits = dataclasses.replace(splits, train=in_memory(splits.train))
    if config.md5 and splits.info.md5 != config.md5:
        raise ValueError(
            f"{splits.info.source} has md5 {splits.info.md5}, but config.data.md5 asks for "
            f"{config.md5}: use that data, or clear --config.data.md5"
        )
    counts = np.bincount(splits.train.labels, minlength=len(splits.info.classes))
    info = dataclasses.replace(splits.info, counts=tuple(counts.tolist()))
    return dataclasses.replace(splits, info=info)


def _source(config: ConfigDict) -> Splits:
    """Calls the source's own loader; imported here so that the others' needs are not."""
    from msflow_jax.data.phantoms import heads
    from msflow_jax.data.sources import files, medmnist, own, records, tfds

    loaders = {
        "phantoms": heads.load,
        "folder": files.load_folder,
        "manifest": files.load_manifest,
        "own": own.load,
        "arrayrecord": records.load,
        "tfds": tfds.load,
    }
    return loaders.get(config.name.partition(":")[0], medmnist.load)(config)
