"""What a latent model needs beside its flow's parameters, and how its workdir keeps it.

The workdir holds ``autoencoder/``, where the label pictures are latents ``label_pictures.safetensors``,
with preconditioning ``latent_std.json``, and needs the folder that the autoencoder came from no more.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from msflow_jax import autoencoder as autoencoders
from msflow_jax.atomic import write_atomically
from msflow_jax.autoencoder import Autoencoder
from msflow_jax.batching import batched
from msflow_jax.data import Info, LazySplit, Split, in_memory
from msflow_jax.data.batches import to_float
from msflow_jax.nets.patches import fit_patches
from msflow_jax.symmetric.latent_codes import SCHEMES, LatentCode, encode_pictures

FOLDER, PICTURES, STD = "autoencoder", "label_pictures.safetensors", "latent_std.json"
_FITTED = 1000  # images that the patches are fitted to at most
_MEASURED = 64  # images whose latents' spread is measured


@dataclass(frozen=True)
class Parts:
    """What a latent model needs beside its flow.

    Attributes:
      autoencoder: network and scale.
      params: its parameters.
      origin: where they came from.
      code: the latent code, if there is one.
      std: root mean square of each channel of the latents, for preconditioning; empty for none.
    """

    autoencoder: Autoencoder
    params: Any
    origin: dict[str, Any]
    code: LatentCode | None = None
    std: tuple[float, ...] = ()


def prepare(
    config: ConfigDict, info: Info, workdir: Path, train: Split | LazySplit | None = None
) -> Parts | None:
    """The parts of a latent model, from its workdir or else from where the configuration says.

    Args:
      config: the ``model`` part of a configuration.
      info: what the data are.
      workdir: of the run.
      train: training images, for the autoencoder ``patches``.

    Returns:
      None for a model of pixels.

    Raises:
      FileNotFoundError: there is no autoencoder.
      ValueError: a damaged one, or settings that do not fit.
    """
    latent = config.latent
    if not latent.autoencoder:
        return None
    kept = Path(workdir) / FOLDER
    if latent.autoencoder == "patches" and not kept.exists():
        parts = _fit(config, train)
    else:
        folder = kept if kept.exists() else Path(latent.autoencoder).expanduser()
        parts = Parts(*autoencoders.load(folder), autoencoders.origin(folder))
    parts = replace(parts, autoencoder=_computing_in(latent.dtype, parts.autoencoder))
    if latent.precondition:
        parts = replace(parts, std=_std(Path(workdir) / STD, parts, config, train))
    if config.code.scheme not in SCHEMES:
        return parts
    pictures = Path(workdir) / PICTURES
    if pictures.exists():
        code = _read_code(pictures, config)
    else:
        code = encode_pictures(
            parts.autoencoder, parts.params, config.code.scheme, len(info.classes),
            config.resize or info.side, beta=config.code.beta, variants=latent.pictures,
        )  # fmt: skip
    return replace(parts, code=code)


def _computing_in(dtype: str, autoencoder: Autoencoder) -> Autoencoder:
    if dtype not in ("float32", "bfloat16"):
        raise ValueError(f"model.latent.dtype is 'float32' or 'bfloat16', not {dtype!r}")
    if not hasattr(autoencoder.net, "dtype"):  # patches: two matrix products
        return autoencoder
    return replace(autoencoder, net=autoencoder.net.clone(dtype=jnp.dtype(dtype)))


def keep(parts: Parts, workdir: Path) -> None:
    """Write the parts into a workdir that lacks them."""
    if not (Path(workdir) / FOLDER).exists():
        autoencoders.save(Path(workdir) / FOLDER, parts.autoencoder, parts.params, parts.origin)
    if parts.std and not (Path(workdir) / STD).exists():
        write_atomically(Path(workdir) / STD, json.dumps(parts.std).encode())
    path = Path(workdir) / PICTURES
    if parts.code is not None and not path.exists():
        write_atomically(path, save({"clean": parts.code.clean, "noisy": parts.code.noisy}))


def _read_code(path: Path, config: ConfigDict) -> LatentCode:
    try:
        arrays = load_file(path)
        return LatentCode(config.code.scheme, arrays["clean"], arrays["noisy"], config.code.beta)
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({error}): restore it from a copy") from error


def _std(
    path: Path, parts: Parts, config: ConfigDict, train: Split | LazySplit | None
) -> tuple[float, ...]:
    if path.exists():
        try:
            return tuple(map(float, json.loads(path.read_text())))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} is damaged ({error}): restore it from a copy") from error
    if train is None:
        raise FileNotFoundError(f"{path} is missing: restore it from a copy")
    few = train.take(np.linspace(0, len(train) - 1, min(len(train), _MEASURED)).astype(int))

    def squares(params: Any, images: jax.Array, index: jax.Array) -> jax.Array:
        encoded = parts.autoencoder.encode(params, _resized(to_float(images), config.resize))
        return (encoded**2).mean(axis=(1, 2))

    found = batched(squares, config.latent.batch)(parts.params, few.images)
    return tuple(np.sqrt(found.mean(axis=0)).astype(float).tolist())


def _resized(images: jax.Array, side: int) -> jax.Array:
    if not side:
        return images
    return jax.image.resize(images, (len(images), side, side, images.shape[-1]), "bilinear")


def _fit(config: ConfigDict, train: Split | LazySplit | None) -> Parts:
    if train is None:
        raise FileNotFoundError(
            f"the workdir lacks its {FOLDER}/, and model.latent.autoencoder='patches' cannot be fitted "
            "without the training images: restore it from a copy"
        )
    images = to_float(jnp.asarray(in_memory(train, _FITTED).images[:_FITTED]))
    images = _resized(images, config.resize)
    patch, latent = config.latent.patch, config.latent.channels
    net, params, spread = fit_patches(np.asarray(images), patch, latent)
    origin = {
        "fitted": f"principal components of {patch} x {patch} patches of {len(images)} images"
    }
    return Parts(Autoencoder(net, scale=1 / spread), params, origin)
