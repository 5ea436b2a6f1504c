"""Latents of modalities: encoded once, before the first step, and kept in the cache."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Info, Split
from msflow_jax.latent.autoencoder import fingerprint
from msflow_jax.latent.cache import locate, make_encoder, read_or_encode
from msflow_jax.latent.codec import LatentCodec
from msflow_jax.paired.latents import Latents
from msflow_jax.paired.pairs import distinct, has

VERSION = 1


@dataclass(frozen=True)
class Encoded:
    """The latents of a split's images of one modality; equal images were encoded once.

    Attributes:
        arrays: ``image``, the posterior's mean, and where there is a posterior its ``deviation``, each
            float16 ``[M, 1, *inner]`` as the autoencoder gives them.
        number: place in these arrays of every example of the split ``[N]``; -1 where it has no image.
    """

    arrays: Mapping[str, np.ndarray]
    number: np.ndarray

    def take(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The latents of some examples of the split, all of which have the modality."""
        return {name: array[self.number[rows]] for name, array in self.arrays.items()}


def encode(
    latents: Mapping[str, Latents], config: ConfigDict, split: Split, what: str, info: Info
) -> dict[str, Encoded]:
    """The latents of a split's images by modality, through the cache.

    Args:
        latents: what the modalities are drawn in; those in pixels are not among them.
        config: part ``model`` of a configuration.
        split: training or validation examples.
        what: the split's name.
        info: what the data are.

    Raises:
        As :func:`msflow_jax.latent.cache.read_or_encode`.
    """
    prints: dict[int, str] = {}
    found = {}
    for name, one in latents.items():
        rows = np.flatnonzero(has(split, name))
        if not len(rows):
            continue
        images, auto, weights = split.arrays[name], one.kept.autoencoder, one.kept.weights
        if id(one.kept) not in prints:
            prints[id(one.kept)] = fingerprint(auto, weights)
        # As the autoencoder gives them, not normalised: runs with another spread share them.
        codec = LatentCodec(auto, images.shape[1:], config.resize)
        first, number = distinct([images], rows)
        facts = {
            "data": info.name, "split": f"{what}-{name}", "images": len(first),
            "content": hashlib.sha256(b"".join(first)).hexdigest(),
            "autoencoder": prints[id(one.kept)], "side": [images.shape[1], codec.side],
            "version": VERSION,
        }  # fmt: skip
        encoder = make_encoder(codec, (), config.latent.batch)
        different = Split({"image": images[[*first.values()]]}, names=("",) * len(first))
        arrays = read_or_encode(
            locate(config.latent.cache, facts), different,
            lambda part, run=encoder, weights=weights: run(weights, part),  # type: ignore[misc]
            f"encoding {name}, {what}",
        )  # fmt: skip
        found[name] = Encoded(arrays, number)
    return found
