"""An autoencoder to use: the network, the scale of its latents, and the folder that keeps them."""

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.convert.matching import check_parameters, parameter_shapes
from msflow_jax.nets.patches import PatchAutoencoder
from msflow_jax.nets.tiny import TinyAutoencoder
from msflow_jax.nets.vae import AutoencoderKL
from msflow_jax.storage import weights

KINDS = {"kl": AutoencoderKL, "tiny": TinyAutoencoder, "patches": PatchAutoencoder}
FILE = "autoencoder.json"
DECODERS = "decoder", "post_quant_conv"  # parameters of no influence on latents
Params = Any


@dataclass(frozen=True)
class Autoencoder:
    """Images in [-1, 1] to latents of about unit spread, and back. All methods are pure.

    Attributes:
        net: :class:`AutoencoderKL`, :class:`TinyAutoencoder` or :class:`PatchAutoencoder`.
        scale: what the network's latents are multiplied by (0.18215 for SD 1.x).
        shift: what is taken from them before (0 but for SD3 and FLUX).
    """

    net: Any
    scale: float = 1.0
    shift: float = 0.0

    def moments(self, params: Params, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and standard deviation of the posterior, scaled, each ``[B, h, w, latent]``.

        Grey images are repeated to the network's channels.

        Raises:
            ValueError: images that do not fit the network.
        """
        if images.shape[-1] == 1:
            images = jnp.repeat(images, self.net.channels, axis=-1)
        mean, log_variance = self.net.apply({"params": params}, images, method="encode")
        return self.scale * (mean - self.shift), self.scale * jnp.exp(0.5 * log_variance)

    def encode(self, params: Params, images: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Latents of images ``[B, H, W, C]``: a sample of the posterior, or its mean without a key."""
        mean, deviation = self.moments(params, images)
        if key is None:
            return mean
        return mean + deviation * jax.random.normal(key, mean.shape)

    def decode(self, params: Params, latents: jax.Array, channels: int = 0) -> jax.Array:
        """Images ``[B, H, W, C]`` of scaled latents, not clipped.

        ``channels`` 1 averages the network's channels to grey; 0 leaves them.
        """
        latents = latents / self.scale + self.shift
        images = self.net.apply({"params": params}, latents, method="decode")
        return images.mean(axis=-1, keepdims=True) if channels == 1 else images


def in_tiles(
    apply: Callable[[jax.Array], jax.Array], x: jax.Array, tile: int, overlap: int, unit: int = 1
) -> jax.Array:
    """A map of large images computed tile by tile, so that memory depends on the tile alone.

    Neighbouring tiles overlap and are blended linearly. Each tile is normalised by its own statistics,
    so that the result of an autoencoder is near that of the whole image, not equal to it.

    Args:
        apply: map of ``[B, tile, tile, C]`` to ``[B, t, t, D]``, such as ``decode`` with its parameters.
        x: images ``[B, H, W, C]``.
        tile: rows and columns of a tile of ``x``.
        overlap: rows and columns that neighbours share, at most half a tile.
        unit: both, and the sides of ``x``, are multiples of it (``factor`` when encoding).

    Raises:
        ValueError: numbers that do not fit each other.
    """
    sides = (*x.shape[1:3], tile, overlap)
    if any(n % unit for n in sides) or not 0 <= 2 * overlap <= tile or min(sides[:2]) < tile:
        raise ValueError(
            f"cannot cut {x.shape[1]} x {x.shape[2]} into tiles of {tile} that overlap by {overlap}: "
            f"sides of at least a tile, an overlap of at most half, all multiples of {unit}, are needed"
        )
    rows, columns = ([*range(0, size - tile, tile - overlap), size - tile] for size in x.shape[1:3])
    corners = [(i, j) for i in rows for j in columns]
    pieces = jax.lax.map(apply, jnp.stack([x[:, i : i + tile, j : j + tile] for i, j in corners]))
    out = pieces.shape[2]
    # Rises over the overlap, falls again, and is nowhere 0.
    distance = jnp.minimum(jnp.arange(out), jnp.arange(out)[::-1]) + 1.0
    ramp = jnp.minimum(distance / max(1, overlap * out // tile), 1.0)
    weight = ramp[None, :, None, None] * ramp[None, None, :, None]
    shape = (x.shape[0], x.shape[1] * out // tile, x.shape[2] * out // tile, pieces.shape[-1])
    total, weights = jnp.zeros(shape), jnp.zeros(shape)
    for (i, j), piece in zip(corners, pieces, strict=True):
        here = (slice(None), *(slice(n * out // tile, n * out // tile + out) for n in (i, j)))
        total, weights = total.at[here].add(weight * piece), weights.at[here].add(weight)
    return total / weights


def save(folder: Path, autoencoder: Autoencoder, params: Params, origin: dict[str, Any]) -> None:
    """Writes a new folder atomically.

    Args:
        folder: folder to make; may exist if it is empty.
        autoencoder: network and scale.
        params: parameters of the autoencoder.
        origin: JSON facts on where they come from, such as file, hash and licence.

    Raises:
        ValueError: the folder is not empty.
    """
    kind = next(name for name, net in KINDS.items() if isinstance(autoencoder.net, net))
    network = {k: v for k, v in asdict(autoencoder.net).items() if k not in ("parent", "name")}
    if "dtype" in network:
        network["dtype"] = jnp.dtype(network["dtype"]).name
    facts = {"kind": kind, "network": network, "scale": autoencoder.scale}
    facts |= {"shift": autoencoder.shift, "origin": origin}
    weights.save(folder, FILE, facts, params)


def load(folder: Path) -> tuple[Autoencoder, Params]:
    """The autoencoder of a folder that :func:`save` wrote, and its parameters.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the autoencoder is damaged.
    """
    path, facts = Path(folder) / FILE, _facts(folder)
    try:
        weights.check_keys(facts, {"kind", "network", "scale", "shift", "origin"})
        if facts["kind"] not in list(KINDS):  # which compares what cannot be a key
            raise ValueError(f"kind is {facts['kind']!r:.60}, not one of {', '.join(KINDS)}")
        net = weights.module(KINDS[facts["kind"]], facts["network"])
        if hasattr(net, "dtype"):
            net = dataclasses.replace(net, dtype=jnp.dtype(net.dtype))
        scale = weights.number(facts, "scale", 1e-6, 1e6)
        autoencoder = Autoencoder(net, scale, weights.number(facts, "shift", -1e6, 1e6))
        shapes = parameter_shapes(net, (1, net.factor, net.factor, net.channels))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): {weights.REMEDY}") from error
    params = weights.load_params(folder)
    check_parameters(path, params, shapes)
    return autoencoder, params


def fingerprint(autoencoder: Autoencoder, params: Params) -> str:
    """16 hex digits that change with the network, its scale or any parameter."""
    found = hashlib.sha256(repr(autoencoder).encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        found.update(jax.tree_util.keystr(path).encode())
        found.update(np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()[:16]


def origin(folder: Path) -> dict[str, Any]:
    """Where the parameters of a folder came from, as :func:`save` was told; raises as :func:`load`."""
    found = _facts(folder).get("origin", {})
    if not isinstance(found, dict):
        raise ValueError(
            f"{Path(folder) / FILE} is damaged (origin is no object): {weights.REMEDY}"
        )
    return found


def _facts(folder: Path) -> dict[str, Any]:
    return weights.read_facts(folder, FILE, "autoencoder", "msflow convert-vae")
