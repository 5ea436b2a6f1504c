"""What is evaluated: a split of the data of the run, or labelled images from elsewhere."""

import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax import data
from msflow_jax.choices import check_prior
from msflow_jax.data.base import digest
from msflow_jax.data.begun import load_again
from msflow_jax.data.identity import read_split_table
from msflow_jax.data.own_images import warn_of_copies
from msflow_jax.evaluation.outside import STAND_INS
from msflow_jax.families import Section, choose_settings
from msflow_jax.inference.evaluation import REFERENCE, Evaluation
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.record import run_record
from msflow_jax.storage.places import split_archive
from msflow_jax.storage.text import listed

# How many training images are read for comparison, if they do not lie in memory anyway.
_MAX_READ, _MAX_BYTES = 20_000, 1 << 32


def requested_settings(
    flow: Flow,
    sections: Sequence[Section],
    stage: str,
    outside: Sequence[str],
    features: Path | None,
    by: Sequence[str],
) -> dict[str, Any]:
    """What evaluation.json says of the settings.

    Raises:
        ValueError: ``outside`` or ``by`` where nothing is classified, ``features`` where no drawing is.
    """
    if features and "generation" not in [section.name for section in sections]:
        raise ValueError(
            f"--features={features} compares drawn images with real ones, and no section of this "
            f"evaluation of {flow.path} does so (it has {listed(one.name for one in sections)}): "
            "leave it out"
        )
    if by and "classification" not in [section.name for section in sections]:
        raise ValueError(
            f"--by={by[0]}: subgroups are of classes, and {flow.path} classifies nothing"
        )
    if outside and "outside" not in [section.name for section in sections]:
        raise ValueError(
            f"--outside is for models that classify, which that of {flow.path} does not"
        )
    if outside and "image" not in flow.info.modalities and flow.info.modalities:
        raise ValueError(
            "--outside: of a model of several modalities it is not known which one such images are of: "
            "classify --modality=NAME gives p-values where the family has them"
        )
    given = {"outside": outside, "features": [features] if features else [], "by": by}
    settings: dict[str, Any] = {k: list(map(str, v)) for k, v in given.items() if v}
    settings |= {"stage": stage} if stage else {}
    # Which parameters these are: a step is reached by every training of a workdir.
    return {
        **flow.config.sample.to_dict(), **settings, "step": flow.step, "parameters": flow.digest,
    }  # fmt: skip


def run_splits(flow: Flow, root: str = "") -> data.Splits:
    """The data of the run, with labels as it numbered them.

    Args:
        flow: trained model.
        root: where they lie; empty: where the configuration says.

    Raises:
        ValueError: the data there are not the ones that the model was trained on.
    """
    config = flow.config.data.copy_and_resolve_references()
    config.root = root or config.root
    if not flow.info.identity and data.of_user(config.name):
        warnings.warn(
            f"{flow.path} does not know the names, labels and splits of its data, as after msflow pull: "
            f"that {config.root} has the same ones, and its test images were not trained on, cannot be "
            "checked",
            stacklevel=3,
        )
    return load_again(config, flow.info, flow.path / "splits.csv", told=True)


def open_split(
    flow: Flow, split: str, outside: Sequence[str], features: Path | None, by: Sequence[str]
) -> tuple[Evaluation, dict[str, Any]]:
    """The evaluation of a split of the data of the run, and its :func:`run_record`.

    Raises:
        ValueError: the data there are not the ones that the model was trained on.
    """
    others = read_outside(flow, outside)
    splits = run_splits(flow)
    record = run_record(flow, splits)  # of all training images
    limit = max(1, min(_MAX_READ, _MAX_BYTES // math.prod(flow.info.shape)))
    train = data.in_memory(splits.train, limit, flow.config.sample.seed)
    splits = dataclasses.replace(splits, train=train)
    return Evaluation(flow, splits, split, others, features, by), record


def open_elsewhere(
    flow: Flow, name: str, images: str, modality: str, resize: bool, by: Sequence[str]
) -> tuple[Evaluation, dict[str, Any], dict[str, Any]]:
    """The evaluation of labelled images from elsewhere, its :func:`run_record`, and what they are.

    They are classified by what the standing evaluation learned.

    Args:
        flow: trained model with its calibration.
        name: name of the images.
        images: see :func:`msflow_jax.data.read_labelled`.
        modality: what they are of, for a model of several modalities.
        resize: whether images of another size are brought to the model's.
        by: columns of their table whose values make subgroups.

    Raises:
        ValueError: no standing evaluation that can be applied, or images that cannot be used.
    """
    flow.require("classify")
    learned = flow.calibration
    if not learned.known:
        raise ValueError(
            f"{flow.path}: images from elsewhere are classified by the standing evaluation, but there "
            f"is none to apply ({learned.reason or 'it has no thresholds'}): evaluate a split first"
        )
    flow.config.sample.classify.update(
        {k: v for k, v in learned.settings.items() if k in flow.config.sample.classify}
    )
    outside = flow.config.data.get("outside", False)
    split = data.read_labelled(images, flow.info_of(modality), resize=resize, outside=outside)
    table = read_split_table(flow.path / "splits.csv")
    if not table:
        warnings.warn(
            f"{flow.path} has no splits.csv, as after msflow pull: whether it was trained on any of "
            f"{images} cannot be told",
            stacklevel=2,
        )
    # In an archive images are called by their numbers, as others are.
    warn_of_copies(images, split, table, named=not split_archive(images))
    of = {"modality": modality} if modality else {}
    md5 = digest(repr(split.names).encode(), split.labels.tobytes(), split.images.tobytes())
    run = Evaluation(flow, {name: split}, name, by=by, calibration=learned)
    record = run_record(flow, {name: split})
    return run, record, {"images": images, "images_md5": md5, "standing": str(learned), **of}


def change_settings(
    flow: Flow, root: str, *, draws: int | None, steps: int | None, prior: str,
    temperature: float | None, likelihood: int | None = None,
) -> None:  # fmt: skip
    """Writes what the user requested into the configuration of an opened workdir.

    Raises:
        ValueError: a setting that the model has not, or one that does not fit it.
    """
    config = flow.config.unlock()
    config.data.root = root or config.data.root
    if prior and "prior" not in config.sample.get("classify", {}):
        raise ValueError("this model knows no class prior: leave out --prior")
    if prior:
        config.sample.classify.prior = prior
    check_prior(config)
    if likelihood:
        if "likelihood" not in config.sample:
            raise ValueError("this model has no sample.likelihood: leave out --likelihood")
        config.sample.likelihood.images = likelihood
        flow.family.check(config)
    requested: dict[str, Mapping[str, Any]] = {
        "classify": {"draws": draws, "steps": steps},
        "generate": {"temperature": temperature},
    }
    for verb, changes in requested.items():
        if any(changes.values()):
            config.sample[verb].update(choose_settings(flow.model, verb, {}, changes))


def read_outside(flow: Flow, paths: Sequence[str]) -> dict[str, np.ndarray]:
    """Images of another kind by the last part of their path, at the model's side and channels."""
    names = [Path(path).name for path in paths]
    taken = ("train", "val", "test", REFERENCE, *STAND_INS)
    for name in names:
        if names.count(name) > 1 or name in taken:
            raise ValueError(
                f"--outside: {name!r} would name two sets of images: give each a name of its own"
            )
    return {
        name: data.read_images(path, flow.info, resize=True)[0]
        for name, path in zip(names, paths, strict=True)
    }
