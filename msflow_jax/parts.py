"""What a model needs beside its flow's parameters, and how its workdir keeps it.

The workdir of a latent model holds ``autoencoder/``, where the label pictures are latents
``label_pictures.safetensors``, with preconditioning ``latent_std.json``, and needs the folder that the
autoencoder came from no more. That of a coupling flow with a picture among its masks holds ``mask.png``.
"""

import io
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from msflow_jax.data import Info, LazySplit, Split, some
from msflow_jax.data.batches import to_float
from msflow_jax.data.sources.images import decode, to_square
from msflow_jax.latent import autoencoder as autoencoders
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.nets.ops import resize
from msflow_jax.nets.patches import fit_patches
from msflow_jax.parallel.batched import batched
from msflow_jax.storage.atomic import new_folder, write_atomically
from msflow_jax.symmetric.latent_codes import SCHEMES, LatentCode, encode_pictures

FOLDER, PICTURES, STD = "autoencoder", "label_pictures.safetensors", "latent_std.json"
MASK = "mask.png"
_FITTED = 1000  # images that the patches are fitted to at most
_MEASURED = 64  # images whose latents' spread is measured
_LEAST_STD = 1e-3  # of a channel, as a share of the largest: one may be constant
_INSIDE = 0.1  # of the brightest: where the mean training image counts as inside


@dataclass(frozen=True)
class Parts:
    """What a latent model needs beside its flow.

    Attributes:
      autoencoder: network and scale.
      params: its parameters.
      origin: where they came from.
      folder: where they lie; None if they were fitted here.
      code: the latent code, if there is one.
      std: root mean square of each channel of the latents, for preconditioning; empty for none.
    """

    autoencoder: Autoencoder
    params: Any
    origin: dict[str, Any]
    folder: Path | None = None
    code: LatentCode | None = None
    std: tuple[float, ...] = ()


@dataclass(frozen=True)
class Mask:
    """The picture ``[S, S]`` of a coupling flow's steps ``picture``: what is not 0 is seen first."""

    picture: np.ndarray


def prepare(
    config: ConfigDict, info: Info, workdir: Path, train: Split | LazySplit | None = None
) -> Parts | Mask | None:
    """The parts of a model, from its workdir or else from where the configuration says.

    Args:
      config: the ``model`` part of a configuration.
      info: what the data are.
      workdir: of the run.
      train: training images, for the autoencoder ``patches`` and for a mask that no file gives.

    What a workdir holds counts only once it has a checkpoint: a run that failed before has nothing to go
    on from, and its configuration may have been another.

    Returns:
      None for a model that needs nothing else.

    Raises:
      FileNotFoundError: there is no autoencoder, or no picture.
      ValueError: a damaged one, or settings that do not fit.
    """
    latent = config.latent
    workdir = Path(workdir)
    kept = _has_checkpoint(workdir)
    layout = config.coupling.layout.replace("picture:", "foreground:")
    if config.family == "coupling" and "foreground:" in layout:
        return _mask(config, info.side, workdir / MASK if kept else None, train)
    if not latent.autoencoder:
        return None
    side = config.resize or info.side
    if latent.autoencoder == "patches" and not kept:
        latent_side(latent.patch, side)
        parts = _fit(config, train)
    else:
        folder = workdir / FOLDER if kept else Path(latent.autoencoder).expanduser()
        parts = Parts(*autoencoders.load(folder), autoencoders.origin(folder), folder)
    latent_side(parts.autoencoder.net.factor, side)
    parts = replace(parts, autoencoder=_computing_in(latent.dtype, parts.autoencoder))
    if latent.precondition:
        std = _read_std(workdir / STD) if kept else _measure_std(parts, config, train)
        parts = replace(parts, std=std)
    if config.code.scheme not in SCHEMES:
        return parts
    if kept:
        code = _read_code(workdir / PICTURES, config)
    else:
        code = encode_pictures(
            parts.autoencoder, parts.params, config.code.scheme, len(info.classes),
            side, beta=config.code.beta, variants=latent.pictures, batch=latent.batch,
        )  # fmt: skip
    return replace(parts, code=code)


def _has_checkpoint(workdir: Path) -> bool:
    return any((workdir / "checkpoints").glob("*/ema"))


def latent_side(factor: int, side: int) -> int:
    """Rows and columns of the latents of images of this side, for an autoencoder of this factor.

    Raises:
      ValueError: the factor does not divide the side.
    """
    if side % factor:
        raise ValueError(
            f"the autoencoder makes latents {factor} times smaller, which does not divide images of "
            f"{side}: set model.resize"
        )
    return side // factor


def _computing_in(dtype: str, autoencoder: Autoencoder) -> Autoencoder:
    if dtype not in ("float32", "bfloat16"):
        raise ValueError(f"model.latent.dtype is 'float32' or 'bfloat16', not {dtype!r}")
    if not hasattr(autoencoder.net, "dtype"):  # patches: two matrix products
        return autoencoder
    return replace(autoencoder, net=autoencoder.net.clone(dtype=jnp.dtype(dtype)))


def keep(parts: Parts | Mask, workdir: Path) -> None:
    """Write the parts into a workdir without a checkpoint; what a failed run left is replaced."""
    workdir = Path(workdir)
    if isinstance(parts, Mask):
        picture = Image.fromarray(np.where(parts.picture, 255, 0).astype(np.uint8))
        buffer = io.BytesIO()
        picture.save(buffer, "png")
        write_atomically(workdir / MASK, buffer.getvalue())
        return
    if _has_checkpoint(workdir) and (workdir / FOLDER).exists():
        return
    shutil.rmtree(workdir / FOLDER, ignore_errors=True)
    if parts.folder is None:
        autoencoders.save(workdir / FOLDER, parts.autoencoder, parts.params, parts.origin)
    else:
        with new_folder(workdir / FOLDER) as new:
            shutil.copytree(parts.folder, new, dirs_exist_ok=True)
    if parts.std:
        write_atomically(workdir / STD, json.dumps(parts.std).encode())
    if parts.code is not None:
        content = save({"clean": parts.code.clean, "noisy": parts.code.noisy})
        write_atomically(workdir / PICTURES, content)


def _mask(
    config: ConfigDict, side: int, kept: Path | None, train: Split | LazySplit | None
) -> Mask:
    """From the workdir, else from the user's file, else where the mean training image is not dark.

    Images without a dark background are parted at the median of their mean.
    """
    path = kept or (Path(config.coupling.picture).expanduser() if config.coupling.picture else None)
    if path is not None:
        if not path.is_file():
            remedy = "restore it from a copy" if kept else "mend model.coupling.picture"
            raise FileNotFoundError(f"no mask {path}: {remedy}")
        inside = decode(path.read_bytes(), path).max(axis=-1, keepdims=True) > 0
        return Mask(to_square(np.where(inside, 255, 0).astype(np.uint8), side)[..., 0] > 127)
    if train is None:
        raise FileNotFoundError(_no_checkpoint("the mask 'picture' without a file"))
    mean = some(train, _FITTED).images.mean(axis=(0, 3))
    inside = mean > _INSIDE * mean.max()
    return Mask(mean > np.median(mean) if inside.all() else inside)


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
        return tuple(map(float, json.loads(path.read_text())))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): restore it from a copy") from error


def _measure_std(
    parts: Parts, config: ConfigDict, train: Split | LazySplit | None
) -> tuple[float, ...]:
    if train is None:
        raise FileNotFoundError(_no_checkpoint("model.latent.precondition"))

    side = config.resize or train.side

    def squares(params: Any, images: jax.Array, index: jax.Array) -> jax.Array:
        encoded = parts.autoencoder.encode(params, resize(to_float(images), side))
        return (encoded**2).mean(axis=(1, 2))

    found = batched(squares, config.latent.batch)(parts.params, some(train, _MEASURED).images)
    std = np.sqrt(found.mean(axis=0)).astype(float)
    return tuple(np.maximum(std, _LEAST_STD * std.max()).tolist())


def _no_checkpoint(setting: str) -> str:
    return (
        f"the workdir has no checkpoint, and {setting} needs the training images: train first, or check "
        "--workdir"
    )


def _fit(config: ConfigDict, train: Split | LazySplit | None) -> Parts:
    if train is None:
        raise FileNotFoundError(_no_checkpoint("model.latent.autoencoder='patches'"))
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
    return Parts(Autoencoder(net, scale=1 / spread), params, origin)
