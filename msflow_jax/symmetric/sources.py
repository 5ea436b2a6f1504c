"""What a symmetric flow trains on and validates with: pixels, or latents that are encoded once."""

import dataclasses
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Splits
from msflow_jax.inference.validation import make_map_validation, make_validation, with_jumps
from msflow_jax.latent.cache import split_latents
from msflow_jax.symmetric.model import SymmetricFlow
from msflow_jax.symmetric.objective import taught
from msflow_jax.symmetric.parts import SymmetricParts
from msflow_jax.symmetric.times import TimeDistribution
from msflow_jax.training.source import Source, Sources, source_of
from msflow_jax.training.validation import Validation


def trained_on(
    config: ConfigDict, splits: Splits, parts: SymmetricParts, model: SymmetricFlow
) -> tuple[Sources, Validation]:
    """What a run trains on and validates with; of one that is distilled its jumps as well."""
    if parts.params:
        (source, validate), inner = latent_source(config, splits, parts, model), model.inside
    else:
        (source, validate), inner = pixel_source(config, splits, model), model
    if config.model.distillation.teacher:
        guidance = config.model.distillation.guidance
        drawn = splits.val.arrays["map" if model.maps else "label"]
        teacher = taught(inner, config.model.code_dropout)
        validate = with_jumps(validate, inner, teacher, drawn, config, guidance)
    return source, validate


def pixel_source(
    config: ConfigDict, splits: Splits, model: SymmetricFlow
) -> tuple[Sources, Validation]:
    """Images with a class per image, or per pixel."""
    label = "map" if model.maps else "label"
    source = source_of(
        splits.train, config.data.loader, config.data.workers, splits.info.flips,
        {"image": "image", "label": label},
    )  # fmt: skip
    val, validation = splits.val, make_map_validation if model.maps else make_validation
    return source, validation(model, val.images, val.arrays[label], config, plain(model))


def latent_source(
    config: ConfigDict, splits: Splits, parts: SymmetricParts, model: SymmetricFlow
) -> tuple[Sources, Validation]:
    """Latents through the cache, each flip of an image as a variant of its own."""
    info, settings = splits.info, config.model.latent
    flips = info.flips if config.train.flips else ()
    codec: Any = model.codec
    train = split_latents(codec, parts.weights, splits.train, "train", info, settings, flips)
    val = split_latents(codec, parts.weights, splits.val, "val", info, settings)
    arrays: dict[str, np.ndarray] = {**train, "label": splits.train.labels}
    source = Source.of_arrays(arrays, dict.fromkeys(train, "latent"))
    images, labels, inside = val["image"][:, 0], splits.val.labels, model.inside
    return source, make_validation(inside, images, labels, config, plain(inside))


def plain(model: SymmetricFlow) -> SymmetricFlow:
    """The flow whose loss says how well it draws: uniform times, every image with its code."""
    return dataclasses.replace(model, time=TimeDistribution(), code_dropout=0.0, image_weight=1.0)
