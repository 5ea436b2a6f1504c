"""What a symmetric flow trains on and validates with: pixels, or latents that are encoded once."""

from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Splits
from msflow_jax.data.base import Modality
from msflow_jax.latent.cache import split_latents
from msflow_jax.symmetric.model import SymmetricFlow
from msflow_jax.symmetric.parts import SymmetricParts
from msflow_jax.training.sources import image_source

Found = tuple[Any, tuple[np.ndarray, np.ndarray]]  # a source; validation images and labels


def pixel_source(
    config: ConfigDict, splits: Splits, parts: SymmetricParts, model: SymmetricFlow
) -> Found:
    """Images, and labels per image or per pixel."""
    del parts
    val = splits.val
    source = image_source(splits, config, maps=model.maps)
    return source, (val.images, val.maps if model.maps else val.labels)  # type: ignore[return-value]


def latent_source(
    config: ConfigDict, splits: Splits, parts: SymmetricParts, model: SymmetricFlow
) -> Found:
    """Latents of every flip as a variant of its own, through the cache."""
    info, settings = splits.info, config.model.latent
    flips = info.flips if config.train.flips else ()
    codec: Any = model.codec
    train = split_latents(codec, parts.weights, splits.train, "train", info, settings, flips)
    val = split_latents(codec, parts.weights, splits.val, "val", info, settings)
    raise NotImplementedError(train, val, Modality)
