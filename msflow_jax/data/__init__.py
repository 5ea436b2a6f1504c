"""Data sources behind one interface: MedMNIST, folders, masks, cohorts, ArrayRecord, TFDS, phantoms.

``load(config)`` gives the three splits as uint8 arrays with the facts on them (of train, where it is too
large for memory, a reader); ``read_images`` reads what a trained model is to classify. Layout
``[N, S, S, C]``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import (
    Info,
    LazySplit,
    Modality,
    Split,
    Splits,
    in_memory,
    some,
    some_rows,
)
from msflow_jax.data.identity import as_trained, check_same, identify, pixels_of, split_table
from msflow_jax.data.intensity import WINDOW, check_window
from msflow_jax.data.oddities import check_rare_classes, check_split_copies, without_blanks
from msflow_jax.data.own_images import table_with_pixels
from msflow_jax.data.settings import PHANTOMS, SETTINGS
from msflow_jax.data.sources.images import read_images, read_sound_images
from msflow_jax.data.sources.labelled import read_labelled
from msflow_jax.data.sources.medmnist.names import NAMES, check_name, dims_of, is_set
from msflow_jax.data.sources.sliced import read_volumes
from msflow_jax.progress import doing
from msflow_jax.settings import check as check_values

__all__ = [
    "SETTINGS",
    "Info",
    "LazySplit",
    "Modality",
    "Split",
    "Splits",
    "as_trained",
    "check",
    "check_same",
    "default_config",
    "dims_of",
    "in_memory",
    "known",
    "load",
    "of_user",
    "read_images",
    "read_labelled",
    "read_sound_images",
    "read_volumes",
    "some",
    "some_rows",
    "split_table",
    "table_with_pixels",
    "upgrade",
]

_SOURCES = (
    "phantoms", "folder", "manifest", "masks", "cohort", "own", "arrayrecord", "phantom_cohort",
    "tfds:NAME",
)  # fmt: skip


def known() -> tuple[str, ...]:
    """Returns the source names that ``load`` accepts; ``tfds:NAME`` stands for any name there."""
    return (*_SOURCES, *NAMES)


def of_user(name: str) -> bool:
    """Whether a source reads images of the user's own, for which ``root`` says which."""
    return name.partition(":")[0] in ["folder", "manifest", "masks", "cohort", "own", "arrayrecord"]


def default_config(name: str = "phantoms") -> ConfigDict:
    """Returns the data config of a source, every field with its default.

    Fields:
        name: One of ``known()``.
        root: The .npz file or its folder (MedMNIST; empty: ``~/.medmnist``), the folder of class
            folders (``folder``), the CSV (``manifest``), either (``own``), the folder of ``images/`` and
            ``masks/`` (``masks``), a CSV of examinations or a folder in the BIDS layout (``cohort``),
            what ``msflow pack`` wrote (``arrayrecord``), or the TFDS data folder (``tfds:NAME``; empty:
            ``~/tensorflow_datasets``).
        side: Height and width in pixels. 0: 28 (MedMNIST), 32 (phantoms), as stored (own files).
        dims: 2: pictures; volumes are cut into ``slices``. 3: volumes ``[D, H, W, C]``. Sets of MedMNIST
            have their own.
        spacing: Of volumes: what a voxel is brought to, in mm, before ``side`` cuts or pads; 0: stored.
        map_classes: Of masks: the names of the classes 0, 1, ...; empty: those of ``classes.txt`` or
            ``classes.json`` in ``root``, else the numbers. Of an own .npz read by the name of a set of
            MedMNIST: of its labels; empty: those of the set.
        modality: Of a cohort: the column that is the image of a model of one; empty: the only one.
        resample: Of a cohort: whether volumes of an examination that lie on another grid than its first
            are brought onto that, or refused.
        window: Of CT: the values in Hounsfield units that become 0 and 255.
        slices: Which slices of volumes are pictures where ``dims`` is 2: ``axis``, ``first`` and
            ``last`` as shares of it, ``spacing`` in mm.
        fit: Of pictures that are not square: ``pad`` (the longer side is scaled to ``side``, the rest is
            black, of colour pictures the colour of their edge), ``crop`` (the shorter side is scaled,
            the ends of the longer one are lost) or ``stretch``; at use, too. A pack has its own.
        channels: 1 grey, 3 RGB, 0 as stored (own files: as the first; phantoms: 1).
        seed: Seed of the phantoms and of the cut of own files into splits.
        md5: If set, the data must have it (``Info.md5``).
        duplicates: ``refuse`` own pictures of equal content in two splits, or ``keep`` them with a
            warning, as those of published sets are.
        outside: Whether a manifest or cohort may list files outside its own folder, later the tables
            of ``evaluate --images`` too.
        download: Whether missing MedMNIST or TFDS data may be fetched from their publishers.
        loader: ``device`` reads the training images into the device's memory; ``grain`` reads and
            decodes them while training, for what does not fit there.
        workers: Worker processes of ``grain``; 0 reads in threads of the training process.
        phantoms: The phantoms' own settings, see ``msflow_jax.data.phantoms.heads`` and ``cohort``.
    """
    return ConfigDict(
        {
            "name": name,
            "root": "",
            "side": 0,
            "dims": dims_of(name),
            "spacing": 0.0,
            "map_classes": (),
            "modality": "",
            "resample": False,
            "window": WINDOW,
            "slices": {"axis": "axial", "first": 0.0, "last": 1.0, "spacing": 0.0},
            "fit": "pad",
            "channels": 0,
            "seed": 0,
            "md5": "",
            "duplicates": "refuse",
            "outside": False,
            "download": False,
            "loader": "device",
            "workers": 2,
            "phantoms": PHANTOMS,
        }
    )


def check(config: ConfigDict) -> None:
    """Refuses a data source, loader or size that does not exist; reads nothing.

    Raises:
        ValueError: for such a setting; names it and what is known.
    """
    kind = config.name.partition(":")[0]
    if config.name not in known() and kind not in ("tfds", "own") and not is_set(config.name):
        raise ValueError(f"unknown data source {config.name!r}; known: {', '.join(known())}")
    check_values(SETTINGS, config, "data")
    check_window(config.window)
    check_name(config.name, config.dims, config.map_classes)


def load(config: ConfigDict, *, told: bool = False) -> Splits:
    """Loads the source named by ``config.name``; see ``default_config`` for the fields.

    Args:
        config: the data config.
        told: whether training has said already what a cohort's list was taken for.

    Returns:
        Train, val and test splits: images uint8 ``[N, S, S, C]``, labels int32 ``[N]``. With the loader
        ``grain``, train is a ``LazySplit`` where the source is not an array in memory anyway.

    Raises:
        FileNotFoundError: if the data is not where the config says; names the places looked at.
        ValueError: for an unknown source, or data that is damaged or not what the source should
            hold; names the file and the remedy.
    """
    check(config)
    with doing("reading the data"):
        splits = _source(config, told)
        # A cohort's images were compared as wholes when they were read.
        # Of masks only images are compared: a copy may have been outlined twice.
        but = ("map",) if config.name == "masks" else ()
        pixels = {} if config.name == "cohort" else pixels_of(splits, but)
        splits = dataclasses.replace(splits, contents=splits.contents or pixels)
    info = dataclasses.replace(
        splits.info, identity={**splits.info.identity, **identify(splits)}, counts=_counts(splits)
    )
    if config.md5 and config.md5 not in (info.md5, info.identity.get("listing")):
        raise ValueError(
            f"{info.source} has md5 {info.md5}, but config.data.md5 asks for "
            f"{config.md5}: use that data, or clear --config.data.md5"
        )
    splits = dataclasses.replace(splits, info=info)
    _look_over(splits, config, pixels)
    with doing("reading the training images"):
        train = in_memory(splits.train) if config.loader == "device" else splits.train
    return Splits(train, splits.val, splits.test, info, pixels=pixels)


def upgrade(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The part ``data`` of a stored configuration, with what was so before there was a key for it."""
    return {"duplicates": "keep", "outside": True, "fit": "crop", **stored}


def _counts(splits: Splits) -> tuple[int, ...]:
    """Training images of each class."""
    return tuple(np.bincount(splits.train.labels, minlength=len(splits.info.classes)).tolist())


def _look_over(splits: Splits, config: ConfigDict, pixels: Mapping[str, tuple[str, ...]]) -> None:
    """Says, or refuses, what is odd about a data set; phantoms are what they are made to be."""
    if config.name.startswith("phantom"):
        return
    own = of_user(config.name)
    if config.name != "cohort":
        # One picture may lie in files of other bytes: saved again, or in another format.
        contents = without_blanks(splits, pixels) or splits.contents
        check_split_copies(splits, contents, refuse=own and config.duplicates == "refuse")
    if own and config.name != "masks":  # which have classes of pixels, and say so themselves
        check_rare_classes(splits)


def _source(config: ConfigDict, told: bool) -> Splits:
    """Calls the source's own loader; imported here so that the others' needs are not."""
    from msflow_jax.data.phantoms import cohort as phantom_cohort
    from msflow_jax.data.phantoms import heads
    from msflow_jax.data.sources.cohort import loading as cohort
    from msflow_jax.data.sources.listings import loading as listings
    from msflow_jax.data.sources.listings import own
    from msflow_jax.data.sources.masks import loading as masks
    from msflow_jax.data.sources.medmnist import loading as medmnist
    from msflow_jax.data.sources.packs import records
    from msflow_jax.data.sources.tfds import loading as tfds

    loaders: dict[str, Any] = {
        "phantoms": heads.load,
        "phantom_cohort": phantom_cohort.load,
        "folder": listings.load_folder,
        "manifest": listings.load_manifest,
        "masks": masks.load_masks,
        "cohort": partial(cohort.load, told=told),
        "own": own.load,
        "arrayrecord": records.load,
        "tfds": tfds.load,
    }
    return loaders.get(config.name.partition(":")[0], medmnist.load)(config)
