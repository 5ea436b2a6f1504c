"""What a symmetric flow in latents needs beside its parameters, and how its workdir keeps it.

The workdir holds ``autoencoder/``, where the label pictures are latents ``label_pictures.safetensors``,
with preconditioning ``latent_std.json``, and needs the folder that the autoencoder came from no more. A
flow in pixels needs nothing.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from msflow_jax.data import Info, LazySplit, Split, some
from msflow_jax.latent import kept
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.latent.codec import KEY, latent_side
from msflow_jax.latent.kept import PATCHES, Kept
from msflow_jax.storage.atomic import write_atomically
from msflow_jax.storage.places import expand
from msflow_jax.symmetric.latent_codes import SCHEMES, LatentCode, encode_pictures
from msflow_jax.training.fitted import Fit, Fitted

_SPREAD = 1 / 4, 4  # of latents, beyond which a flow from noise of spread 1 is warned of
FOLDER, PICTURES, STD = "autoencoder", "label_pictures.safetensors", "latent_std.json"


@dataclass(frozen=True)
class SymmetricParts:
    """An autoencoder with what was made by it; empty for a flow in pixels.

    Attributes:
        autoencoder: network and scale of the autoencoder, None for a flow in pixels.
        weights: parameters of the autoencoder.
        origin: where the autoencoder came from.
        folder: folder of the autoencoder; None if it was fitted here.
        code: the latent code, if there is one.
        std: root mean square of each channel of the latents, for preconditioning; empty for none.
    """

    autoencoder: Autoencoder | None = None
    weights: Any = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    code: LatentCode | None = None
    std: tuple[float, ...] = ()

    @property
    def kept(self) -> Kept:
        """The autoencoder alone."""
        assert self.autoencoder is not None
        return Kept(self.autoencoder, self.weights, self.origin, self.folder)

    @property
    def params(self) -> dict[str, Any]:
        """The autoencoder's parameters, under the name of the codec."""
        return {} if self.autoencoder is None else {KEY: self.weights}

    def fitted(self, folder: Path) -> Fitted:
        """See :mod:`msflow_jax.training.fitted`."""
        if self.autoencoder is None:
            return {}
        fit = Fit(self.kept.latents_digest, str(folder / FOLDER), spread=self.std)
        return {"model.latent.autoencoder": {"": fit}}

    def save(self, folder: Path) -> None:
        """Writes the parts into a workdir; what a failed run left there is replaced."""
        if self.autoencoder is None:
            return
        self.kept.save(folder / FOLDER)
        if self.std:
            write_atomically(folder / STD, json.dumps(self.std).encode())
        if self.code is not None:
            content = to_bytes({"clean": self.code.clean, "noisy": self.code.noisy})
            write_atomically(folder / PICTURES, content)


def prepare(
    config: ConfigDict, info: Info, train: Split | LazySplit | None = None
) -> SymmetricParts:
    """The parts of a fresh run.

    Args:
        config: part ``model`` of a configuration.
        info: what the data are.
        train: training images, for the autoencoder ``patches``, for preconditioning, and to warn of
            latents whose spread is far from 1.

    Raises:
        FileNotFoundError: there is no autoencoder.
        ValueError: a damaged one, or settings that do not fit.
    """
    latent = config.latent
    if not latent.autoencoder:
        return SymmetricParts()
    side = config.resize or info.side
    if latent.autoencoder == PATCHES:
        latent_side(latent.patch, side)
        found = _fit(config, train)
    else:
        found = kept.read(expand(latent.autoencoder))
    latent_side(found.autoencoder.net.factor, side)
    parts = _parts(found, latent.dtype)
    if latent.precondition:
        parts = replace(parts, std=_measure_std(parts, config, train))
    elif latent.autoencoder != PATCHES and train is not None:  # patches are fitted to a spread of 1
        _warn_of_scale(parts, config, train)
    if config.code.scheme not in SCHEMES:
        return parts
    return replace(parts, code=encode_code(config, parts, len(info.classes), side))


def encode_code(config: ConfigDict, parts: SymmetricParts, classes: int, side: int) -> LatentCode:
    """The latent code of a configuration: the palette's pictures as the autoencoder encodes them."""
    assert parts.autoencoder is not None
    return encode_pictures(
        parts.autoencoder, parts.weights, config.code.scheme, classes, side,
        beta=config.code.beta, variants=config.latent.pictures, batch=config.latent.batch,
    )  # fmt: skip


def load(config: ConfigDict, folder: Path) -> SymmetricParts:
    """The parts of a workdir as :meth:`SymmetricParts.save` wrote them.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged.
    """
    if not config.latent.autoencoder:
        return SymmetricParts()
    parts = _parts(kept.read(folder / FOLDER), config.latent.dtype)
    std = _read_std(folder / STD) if config.latent.precondition else ()
    code = _read_code(folder / PICTURES, config) if config.code.scheme in SCHEMES else None
    return replace(parts, std=std, code=code)


def _parts(found: Kept, dtype: str) -> SymmetricParts:
    one = found.computing_in(dtype)
    return SymmetricParts(one.autoencoder, one.weights, one.origin, one.folder)


def _read_code(path: Path, config: ConfigDict) -> LatentCode:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: restore it from a copy")
    try:
        arrays = load_file(path)
        return LatentCode(config.code.scheme, arrays["clean"], arrays["noisy"], config.code.beta)
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({error}): restore it from a copy") from error


def _read_std(path: Path) -> tuple[float, ...]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: restore it from a copy")
    try:
        return tuple(map(float, json.loads(path.read_text(encoding="utf-8"))))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): restore it from a copy") from error


def _measure_std(
    parts: SymmetricParts, config: ConfigDict, train: Split | LazySplit | None
) -> tuple[float, ...]:
    if train is None:
        raise FileNotFoundError(kept.NEEDS_IMAGES.format("model.latent.precondition"))
    _, square = _moments(parts, config, train)
    return kept.not_constant(np.sqrt(square).astype(float))


def _warn_of_scale(parts: SymmetricParts, config: ConfigDict, train: Split | LazySplit) -> None:
    """Warns of latents whose spread is far from that of the noise, which is 1."""
    mean, square = _moments(parts, config, train)
    spread = float(np.sqrt(max(square.mean() - mean.mean() ** 2, 0.0)))
    if not _SPREAD[0] <= spread <= _SPREAD[1]:
        warnings.warn(
            f"{config.latent.autoencoder}: latents of the training images have a standard deviation of "
            f"{spread:.3g}, where that of the noise is 1, and the flow may learn badly: add "
            "--config.model.latent.precondition=True, or convert the autoencoder again with another "
            "convert-vae --scale",
            stacklevel=3,
        )


def _moments(
    parts: SymmetricParts, config: ConfigDict, train: Split | LazySplit
) -> tuple[np.ndarray, np.ndarray]:
    images, side = some(train, kept.MEASURED).images, config.resize or train.side
    return kept.channel_moments(parts.kept, images, side, config.latent.batch)


def _fit(config: ConfigDict, train: Split | LazySplit | None) -> Kept:
    if train is None:
        raise FileNotFoundError(kept.NEEDS_IMAGES.format("model.latent.autoencoder='patches'"))
    images, latent = some(train, kept.FITTED).images, config.latent
    return kept.fit(images, config.resize or images.shape[1], latent.patch, latent.channels)
