"""An autoencoder that a run keeps: read from a folder or fitted to images, copied into the workdir."""

import dataclasses
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.data.batches import to_float
from msflow_jax.latent import autoencoder as autoencoders
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.nets.ops import resize
from msflow_jax.nets.patches import fit_patches
from msflow_jax.parallel.batched import batched
from msflow_jax.storage.atomic import new_folder

Params = Any

PATCHES = "patches"  # the autoencoder that is fitted to the training images
FITTED = 1000  # images that the patches are fitted to at most
MEASURED = 64  # images whose latents' spread is measured
MIN_STD = 1e-3  # of a channel, relative to the largest: one may be constant
NEEDS_IMAGES = "{} needs the training images, which are not at hand here"


@dataclass(frozen=True)
class Kept:
    """An autoencoder to use, and where it came from.

    Attributes:
        autoencoder: network and scale.
        weights: its parameters.
        origin: JSON facts on where they came from.
        folder: folder that it was read from; None if it was fitted here.
    """

    autoencoder: Autoencoder
    weights: Params
    origin: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def digest(self) -> str:
        """Of network, scale and parameters, whatever it computes in: 16 hex digits."""
        return autoencoders.fingerprint(self.computing_in("float32").autoencoder, self.weights)

    @property
    def latents_digest(self) -> str:
        """As :attr:`digest`, of what encodes alone: equal where latents of images are equal."""
        encoding = {k: v for k, v in self.weights.items() if k not in autoencoders.DECODERS}
        return dataclasses.replace(self, weights=encoding).digest

    def save(self, folder: Path) -> None:
        """Writes it into a workdir; what a failed run left there is replaced."""
        shutil.rmtree(folder, ignore_errors=True)
        if self.folder is None:
            autoencoders.save(folder, self.autoencoder, self.weights, dict(self.origin))
            return
        with new_folder(folder) as new:
            shutil.copytree(self.folder, new, dirs_exist_ok=True)

    def computing_in(self, dtype: str) -> "Kept":
        """The same with a network that computes in ``float32`` or ``bfloat16``."""
        if not hasattr(self.autoencoder.net, "dtype"):  # patches: two products
            return self
        net = self.autoencoder.net.clone(dtype=jnp.dtype(dtype))
        return dataclasses.replace(self, autoencoder=dataclasses.replace(self.autoencoder, net=net))


def read(folder: Path) -> Kept:
    """The autoencoder of a folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged.
    """
    return Kept(*autoencoders.load(folder), autoencoders.origin(folder), folder)


def fit(images: np.ndarray, side: int, patch: int, channels: int) -> Kept:
    """Principal components of the patches of some images.

    Args:
        images: training images, uint8 ``[N, S, S, C]``.
        side: rows and columns that they are resized to.
        patch: rows and columns of a patch.
        channels: components to keep.

    Raises:
        ValueError: a patch that does not divide the side, more components than it has numbers, or
            several processes.
    """
    if jax.process_count() > 1:
        raise ValueError(
            "model.latent.autoencoder='patches' is fitted in one process: train there for a step, and "
            "name the folder of the autoencoder in its workdir here"
        )
    floats = resize(to_float(jnp.asarray(images)), side)
    net, params, spread = fit_patches(np.asarray(floats), patch, channels)
    origin = {
        "fitted": f"principal components of {patch} x {patch} patches of {len(images)} images"
    }
    return Kept(Autoencoder(net, scale=1 / spread), params, origin)


def channel_moments(
    kept: Kept, images: np.ndarray, side: int, batch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and mean square of each channel of the latents of some images, ``[c]`` each.

    Args:
        kept: the autoencoder.
        images: uint8 ``[N, S, S, C]``.
        side: rows and columns at which they are encoded.
        batch: images at a time.
    """

    def moments(params: Params, part: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array]:
        encoded = kept.autoencoder.encode(params, resize(to_float(part), side))
        return encoded.mean(axis=(1, 2)), (encoded**2).mean(axis=(1, 2))

    mean, square = batched(moments, batch)(kept.weights, images)
    return mean.mean(axis=0), square.mean(axis=0)


def not_constant(std: np.ndarray) -> tuple[float, ...]:
    """The deviation of each channel, with a least one for channels that are constant."""
    return tuple(np.maximum(std, MIN_STD * std.max()).astype(float).tolist())
