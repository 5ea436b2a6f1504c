"""What a symmetric flow in latents needs beside its parameters, and how its workdir keeps it.

The workdir holds ``autoencoder/``, where the label pictures are latents ``label_pictures.safetensors``,
with preconditioning ``latent_std.json``, and needs the folder that the autoencoder came from no more. A
flow in pixels needs nothing.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from msflow_jax.data import Info, LazySplit, Split, some
from msflow_jax.data.batches import to_float
from msflow_jax.latent import autoencoder as autoencoders
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.latent.codec import KEY, latent_side
from msflow_jax.nets.ops import resize
from msflow_jax.nets.patches import fit_patches
from msflow_jax.parallel.batched import batched
from msflow_jax.storage.atomic import new_folder, write_atomically
from msflow_jax.storage.places import expand
from msflow_jax.symmetric.latent_codes import SCHEMES, LatentCode, encode_pictures

FOLDER, PICTURES, STD = "autoencoder", "label_pictures.safetensors", "latent_std.json"
PATCHES = "patches"  # the autoencoder that is fitted to the training images
_FITTED = 1000  # images that the patches are fitted to at most
_MEASURED = 64  # images whose latents' spread is measured
_MIN_STD = 1e-3  # of a channel, relative to the largest: one may be constant


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
    def params(self) -> dict[str, Any]:
        """The autoencoder's parameters, under the name of the codec."""
        return {} if self.autoencoder is None else {KEY: self.weights}

    def save(self, folder: Path) -> None:
        """Writes the parts into a workdir; what a failed run left there is replaced."""
        if self.autoencoder is None:
            return
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        if self.folder is None:
            autoencoders.save(folder / FOLDER, self.autoencoder, self.weights, dict(self.origin))
        else:
            with new_folder(folder / FOLDER) as new:
                shutil.copytree(self.folder, new, dirs_exist_ok=True)
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
        train: training images, for the autoencoder ``patches`` and for preconditioning.

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
        parts = _fit(config, train)
    else:
        parts = _read(expand(latent.autoencoder))
    latent_side(parts.autoencoder.net.factor, side)  # type: ignore[union-attr]
    parts = _computing_in(latent.dtype, parts)
    if latent.precondition:
        parts = replace(parts, std=_measure_std(parts, config, train))
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
    parts = _computing_in(config.latent.dtype, _read(folder / FOLDER))
    std = _read_std(folder / STD) if config.latent.precondition else ()
    code = _read_code(folder / PICTURES, config) if config.code.scheme in SCHEMES else None
    return replace(parts, std=std, code=code)


def _read(folder: Path) -> SymmetricParts:
    return SymmetricParts(*autoencoders.load(folder), autoencoders.origin(folder), folder)


def _computing_in(dtype: str, parts: SymmetricParts) -> SymmetricParts:
    autoencoder = parts.autoencoder
    if not hasattr(autoencoder.net, "dtype"):  # type: ignore[union-attr]  # patches: two products
        return parts
    net = autoencoder.net.clone(dtype=jnp.dtype(dtype))  # type: ignore[union-attr]
    return replace(parts, autoencoder=replace(autoencoder, net=net))  # type: ignore[type-var]


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
        raise FileNotFoundError(_NEEDS_IMAGES.format("model.latent.precondition"))
    side = config.resize or train.side

    def squares(params: Any, images: jax.Array, index: jax.Array) -> jax.Array:
        encoded = parts.autoencoder.encode(params, resize(to_float(images), side))  # type: ignore[union-attr]
        return (encoded**2).mean(axis=(1, 2))

    found = batched(squares, config.latent.batch)(parts.weights, some(train, _MEASURED).images)
    std = np.sqrt(found.mean(axis=0)).astype(float)
    return tuple(np.maximum(std, _MIN_STD * std.max()).tolist())


_NEEDS_IMAGES = "{} needs the training images, which are not at hand here"


def _fit(config: ConfigDict, train: Split | LazySplit | None) -> SymmetricParts:
    if train is None:
        raise FileNotFoundError(_NEEDS_IMAGES.format("model.latent.autoencoder='patches'"))
    if jax.process_count() > 1:
        raise ValueError(
            "model.latent.autoencoder='patches' is fitted in one process: train there for a step, and "
            "name its workdir's autoencoder/ here"
        )
    images = to_float(jnp.asarray(some(train, _FITTED).images))
    images = resize(images, config.resize or images.shape[1])
    patch, latent = config.latent.patch, config.latent.channels
    net, params, spread = fit_patches(np.asarray(images), patch, latent)
    origin = {
        "fitted": f"principal components of {patch} x {patch} patches of {len(images)} images"
    }
    return SymmetricParts(Autoencoder(net, scale=1 / spread), params, origin)
