"""An autoencoder to use: the network, the scale of its latents, and the folder that keeps them."""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.nets.vae import AutoencoderKL, TinyAutoencoder

KINDS = {"kl": AutoencoderKL, "tiny": TinyAutoencoder}
FILE = "autoencoder.json"
Params = Any


@dataclass(frozen=True)
class Autoencoder:
    """Images in [-1, 1] to latents of about unit spread, and back. All methods are pure.

    Attributes:
      net: :class:`AutoencoderKL` or :class:`TinyAutoencoder`.
      scale: what the network's latents are multiplied by (0.18215 for SD 1.x).
      shift: what is taken from them before (0 but for SD3 and FLUX).
    """

    net: Any
    scale: float = 1.0
    shift: float = 0.0

    def moments(self, params: Params, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and standard deviation of the posterior, scaled, each ``[B, h, w, latent]``.

        Raises:
          ValueError: images that do not fit the network.
        """
        mean, log_variance = self.net.apply({"params": params}, images, method="encode")
        return self.scale * (mean - self.shift), self.scale * jnp.exp(0.5 * log_variance)

    def encode(self, params: Params, images: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Latents of images ``[B, H, W, C]``: a sample of the posterior, or its mean without a key."""
        mean, deviation = self.moments(params, images)
        if key is None:
            return mean
        return mean + deviation * jax.random.normal(key, mean.shape)

    def decode(self, params: Params, latents: jax.Array) -> jax.Array:
        """Images ``[B, H, W, C]`` of scaled latents, not clipped."""
        return self.net.apply(
            {"params": params}, latents / self.scale + self.shift, method="decode"
        )


def save(folder: Path, autoencoder: Autoencoder, params: Params, origin: dict[str, Any]) -> None:
    """Writes a new folder whole or not at all.

    Args:
      folder: to make; may exist if it is empty.
      autoencoder: network and scale.
      params: its parameters.
      origin: JSON facts on where they come from, such as file, hash and licence.

    Raises:
      ValueError: the folder is not empty.
    """
    from msflow_jax.training.checkpoints import Checkpoints

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} exists and is not empty: name a new folder")
    kind = next(name for name, net in KINDS.items() if isinstance(autoencoder.net, net))
    network = {k: v for k, v in asdict(autoencoder.net).items() if k not in ("parent", "name")}
    network["dtype"] = jnp.dtype(network["dtype"]).name
    facts = {"kind": kind, "network": network, "scale": autoencoder.scale}
    facts |= {"shift": autoencoder.shift, "origin": origin}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".autoencoder-", dir=folder.parent) as temporary:
        new = Path(temporary) / "new"
        new.mkdir()
        (new / FILE).write_text(json.dumps(facts, indent=1) + "\n")
        with Checkpoints(new / "checkpoints") as checkpoints:
            checkpoints.save_params(params)
        os.replace(new, folder)


def load(folder: Path) -> tuple[Autoencoder, Params]:
    """The autoencoder of a folder that :func:`save` wrote, and its parameters.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is damaged.
    """
    from msflow_jax.training.checkpoints import Checkpoints

    path = Path(folder) / FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"no autoencoder in {folder} ({FILE} is missing): convert one with tools/convert_vae.py"
        )
    try:
        facts = json.loads(path.read_text())
        network = {**facts["network"], "dtype": jnp.dtype(facts["network"]["dtype"])}
        net = KINDS[facts["kind"]](**network)
        autoencoder = Autoencoder(net, float(facts["scale"]), float(facts["shift"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): convert the weights anew") from error
    with Checkpoints(Path(folder) / "checkpoints", read_only=True) as checkpoints:
        return autoencoder, checkpoints.restore_params()[1]
