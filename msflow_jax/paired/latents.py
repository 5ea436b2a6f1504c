"""The latents that images are drawn in: the autoencoder of each modality, or of all, and their spread.

A workdir keeps ``autoencoders/NAME``, each once, under the first name that has it, and
what was measured of them in ``latents.json``. It needs the folders that they came from no more.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Splits, in_memory, some_rows
from msflow_jax.evaluation.paired import WINDOW
from msflow_jax.latent import kept
from msflow_jax.latent.codec import LatentCodec, latent_side
from msflow_jax.latent.kept import PATCHES, Kept
from msflow_jax.latent.reconstruction import make_measure, not_blank
from msflow_jax.paired.pairs import has
from msflow_jax.paired.settings import REPORT
from msflow_jax.storage.atomic import write_atomically
from msflow_jax.storage.jsons import read_object
from msflow_jax.storage.places import expand
from msflow_jax.training.fitted import Fit, Fitted

FOLDER, FILE = "autoencoders", "latents.json"


def parse_autoencoders(config: ConfigDict) -> dict[str, str]:
    """The autoencoder of each image modality that has one, as ``model.latent.autoencoder`` says.

    Args:
        config: part ``model`` of a configuration.

    Raises:
        ValueError: a modality that is named twice, without a folder, or that there is not.
    """
    text, images = config.latent.autoencoder, [n for n in config.modalities if n != REPORT]
    if not text:
        return {}
    if "=" not in text:
        return dict.fromkeys(images, text)
    found: dict[str, str] = {}
    for name, _, place in (piece.strip().partition("=") for piece in text.split(",")):
        if name not in images or name in found or not place:
            raise ValueError(
                f"model.latent.autoencoder={text!r}: {name!r} is no image modality, or is named twice "
                f"or without a folder; write FOLDER, or {images[0]}=FOLDER and so on, of "
                f"{', '.join(images)}"
            )
        found[name] = place
    return found


@dataclass(frozen=True)
class Latents:
    """The latents of a modality.

    Attributes:
        kept: its autoencoder.
        mean: mean of each channel, of training images.
        std: deviation of each channel.
        quality: ``psnr`` (dB) and ``ssim`` of its reconstructions of ``images`` validation images that
            are not blank, at their own side (where that is below the 11 pixels of SSIM's window: as they
            are encoded).
    """

    kept: Kept
    mean: tuple[float, ...]
    std: tuple[float, ...]
    quality: Mapping[str, float] = field(default_factory=dict)

    def codec(self, shape: tuple[int, ...], resize: int) -> LatentCodec:
        """The codec of images of this shape, whose latents have unit spread in every channel."""
        return LatentCodec(self.kept.autoencoder, shape, resize, self.mean, self.std)

    def facts(self) -> dict[str, Any]:
        """What was measured, in JSON types."""
        return {"mean": self.mean, "std": self.std, "quality": dict(self.quality)}


def prepare(config: ConfigDict, splits: Splits) -> dict[str, Latents]:
    """The latents of every modality that is not drawn in pixels; says how much each keeps of its images.

    Args:
        config: part ``model`` of a configuration.
        splits: data of the run.

    Raises:
        As :func:`measure`.
    """
    read: dict[str, Kept] = {}
    train, found = in_memory(splits.train), {}
    for name, place in parse_autoencoders(config).items():
        images = train.arrays[name][has(train, name)]
        held_out = splits.val.arrays[name][has(splits.val, name)]
        found[name] = measure(name, place, (images, held_out), config, read)
    return found


def measure(
    name: str, place: str, images: tuple[np.ndarray, np.ndarray], config: ConfigDict,
    read: dict[str, Kept] | None = None,
) -> Latents:  # fmt: skip
    """An autoencoder, what its latents of some images are like, and how much it keeps of them.

    Args:
        name: of the modality, or whatever else is encoded.
        place: folder of the autoencoder, or ``patches``.
        images: of training, and of validation (may be none), uint8 ``[N, *shape]``.
        config: part ``model`` of a configuration.
        read: autoencoders that were read, by place; this one is added.

    Raises:
        FileNotFoundError: there is no such autoencoder.
        ValueError: a damaged one, no images, or such as it cannot encode; names the modality.
    """
    read, latent, (train, held_out) = {} if read is None else read, config.latent, images
    if not len(train):
        raise ValueError(f"no training example has {name!r}: leave it in pixels, or take it out")
    side = _side(train.shape[1:-1], name, config.resize)
    if place == PATCHES:
        latent_side(latent.patch, side)
        one = kept.fit(
            train[some_rows(len(train), kept.FITTED)], side, latent.patch, latent.channels
        )
    else:
        if place not in read:
            read[place] = kept.read(expand(place)).computing_in(latent.dtype)
        one = read[place]
    codec = _named(name, one, train.shape[1:], config.resize)
    measured = train[some_rows(len(train), kept.MEASURED)]
    mean, square = kept.channel_moments(one, measured, codec.side, latent.batch)
    std = kept.not_constant(np.sqrt(np.maximum(square - mean**2, 0)))
    shown = held_out if len(held_out) else train
    shown = shown[some_rows(len(shown), kept.MEASURED)]
    # What is drawn has the images' own side, whatever they are encoded at.
    own = train.shape[1] if train.shape[1] >= WINDOW else codec.side
    score = make_measure(one.autoencoder, codec.side, latent.batch, own)
    seen = int(not_blank(shown).sum())
    quality = {**score(one.weights, shown, f"reconstructing {name}"), "images": seen}
    if jax.process_index() == 0:
        print(_in_words(name, codec.inner, quality, len(shown)))
    return Latents(one, tuple(mean.astype(float).tolist()), std, quality)


def placed(latents: Mapping[str, Latents]) -> dict[str, Any]:
    """The autoencoders' parameters by name; those that are one lie on the device once."""
    weights = {id(one.kept): one.kept.weights for one in latents.values()}
    there = {key: jax.tree.map(jnp.asarray, one) for key, one in weights.items()}
    return {name: there[id(one.kept)] for name, one in latents.items()}


def fitted(latents: Mapping[str, Latents], folder: Path, *, named: bool = True) -> Fitted:
    """The autoencoders, see :class:`msflow_jax.families.Parts`; ``named``: of modalities, not of all."""
    if not latents:
        return {}
    prints = {id(one.kept): one.kept.latents_digest for one in latents.values()}
    found = {
        name if named else "": Fit(
            prints[id(one.kept)], str(folder / FOLDER / _first(latents, name)),
            str(one.kept.folder or PATCHES), one.std,
        )
        for name, one in latents.items()
    }  # fmt: skip
    return {"model.latent.autoencoder": found}


def save(latents: Mapping[str, Latents], folder: Path) -> None:
    """Writes them into a workdir; what a failed run left there is replaced."""
    if not latents:
        return
    for name, one in latents.items():
        if _first(latents, name) == name:
            one.kept.save(folder / FOLDER / name)
    content = json.dumps({name: one.facts() for name, one in latents.items()}, indent=1)
    write_atomically(folder / FILE, content.encode())


def load(places: Mapping[str, str], dtype: str, folder: Path) -> dict[str, Latents]:
    """The same from a workdir.

    Args:
        places: the autoencoder of each name, as :func:`parse_autoencoders` gives them.
        dtype: what they compute in.
        folder: the workdir.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged.
    """
    if not places:
        return {}
    facts = read_object(folder / FILE, "restore it from a copy")
    read: dict[str, Kept] = {}
    found = {}
    for name, place in places.items():
        # Patches are fitted to each modality; a folder that several name is kept once.
        key = name if place == PATCHES else place
        if key not in read:
            read[key] = kept.read(folder / FOLDER / name).computing_in(dtype)
        channels = read[key].autoencoder.net.latent
        try:
            mean, std = (tuple(map(float, facts[name][part])) for part in ("mean", "std"))
            if len(mean) != channels or len(std) != channels or min(std) <= 0:
                raise ValueError(f"{name} has no mean and deviation of {channels} channels")
            found[name] = Latents(read[key], mean, std, dict(facts[name]["quality"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{folder / FILE} is damaged ({error}): restore it from a copy"
            ) from error
    return found


def _first(latents: Mapping[str, Latents], name: str) -> str:
    """The first modality with this one's autoencoder."""
    return next(other for other, one in latents.items() if one.kept is latents[name].kept)


def _side(space: Sequence[int], name: str, resize: int) -> int:
    if len(space) != 2 or space[0] != space[1]:
        raise ValueError(
            f"{name}: an autoencoder takes square images, not {' x '.join(map(str, space))}: leave it "
            "in pixels (model.latent.autoencoder=OTHER=FOLDER)"
        )
    return resize or space[0]


def _named(name: str, one: Kept, shape: Sequence[int], resize: int) -> LatentCodec:
    try:
        return LatentCodec(one.autoencoder, tuple(shape), resize)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _in_words(name: str, inner: Sequence[int], quality: Mapping[str, float], shown: int) -> str:
    start, seen = f"{name}: latents of {' x '.join(map(str, inner))}", quality["images"]
    if not seen:
        return f"{start}; what they keep is not measured: all {shown} images are blank"
    blank = f" ({shown - seen} blank ones left out)" if seen < shown else ""
    return (
        f"{start}; the autoencoder alone reaches PSNR {quality['psnr']:.1f} dB, SSIM "
        f"{quality['ssim']:.3f} on {seen} images{blank}: what is drawn comes no nearer"
    )
