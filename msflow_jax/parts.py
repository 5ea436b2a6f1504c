"""What a latent model needs beside its flow's parameters, and how its workdir keeps it.

The workdir holds ``autoencoder/`` and, where the label pictures are latents,
``label_pictures.safetensors``, and needs the folder that the autoencoder came from no more.
"""

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
from msflow_jax.data import Info, LazySplit, Split, in_memory
from msflow_jax.data.batches import to_float
from msflow_jax.nets.patches import fit_patches
from msflow_jax.symmetric.latent_codes import SCHEMES, LatentCode, encode_pictures

FOLDER, PICTURES = "autoencoder", "label_pictures.safetensors"
_FITTED = 1000  # images that the patches are fitted to at most


@dataclass(frozen=True)
class Parts:
    """An autoencoder with its parameters, where it came from, and the latent code if there is one."""

    autoencoder: Autoencoder
    params: Any
    origin: dict[str, Any]
    code: LatentCode | None = None


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
    path = Path(workdir) / PICTURES
    if parts.code is not None and not path.exists():
        write_atomically(path, save({"clean": parts.code.clean, "noisy": parts.code.noisy}))


def _read_code(path: Path, config: ConfigDict) -> LatentCode:
    try:
        arrays = load_file(path)
        return LatentCode(config.code.scheme, arrays["clean"], arrays["noisy"], config.code.beta)
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({error}): restore it from a copy") from error


def _fit(config: ConfigDict, train: Split | LazySplit | None) -> Parts:
    if train is None:
        raise FileNotFoundError(
            f"the workdir lacks its {FOLDER}/, and model.latent.autoencoder='patches' cannot be fitted "
            "without the training images: restore it from a copy"
        )
    images = to_float(jnp.asarray(in_memory(train, _FITTED).images[:_FITTED]))
    if config.resize:
        shape = (len(images), config.resize, config.resize, images.shape[-1])
        images = jax.image.resize(images, shape, "bilinear")
    patch, latent = config.latent.patch, config.latent.channels
    net, params, spread = fit_patches(np.asarray(images), patch, latent)
    origin = {
        "fitted": f"principal components of {patch} x {patch} patches of {len(images)} images"
    }
    return Parts(Autoencoder(net, scale=1 / spread), params, origin)
