"""What diffusers need beside their parameters: the tokeniser of reports, autoencoders of images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from msflow_jax.data import Splits
from msflow_jax.latent.codec import KEY
from msflow_jax.paired import latents
from msflow_jax.paired.latents import Latents
from msflow_jax.paired.pairs import texts_of
from msflow_jax.paired.settings import REPORT
from msflow_jax.paired.tokens import Tokeniser
from msflow_jax.storage.places import expand
from msflow_jax.training.fitted import Fit, Fitted

FILE = "tokeniser.json"


@dataclass(frozen=True)
class DiffusersParts:
    """What a run of diffusers keeps; nothing of it is trained.

    Attributes:
        tokeniser: of reports; None where there are none.
        latents: what image modalities are drawn in, by name; those that are not there: pixels.
    """

    tokeniser: Tokeniser | None = None
    latents: Mapping[str, Latents] = field(default_factory=dict)

    @cached_property
    def params(self) -> dict[str, Any]:
        """The autoencoders' parameters by modality, under the name of the codec; {} in pixels."""
        return {KEY: latents.placed(self.latents)} if self.latents else {}

    def fitted(self, folder: Path) -> Fitted:
        """See :class:`msflow_jax.families.Parts`."""
        encoders = latents.fitted(self.latents, folder)
        if self.tokeniser is None:
            return encoders
        words = Fit(self.tokeniser.digest, str(folder / FILE))
        return {**encoders, "model.tokeniser": {"": words}}

    def save(self, folder: Path) -> None:
        """Writes tokeniser and autoencoders into a workdir."""
        if self.tokeniser is not None:
            self.tokeniser.save(folder / FILE)
        latents.save(self.latents, folder)


def prepare(config: ConfigDict, splits: Splits) -> DiffusersParts:
    """The parts of a fresh run.

    Raises:
        FileNotFoundError: there is no such tokeniser or autoencoder.
        ValueError: it is damaged or does not fit, or there are no reports.
    """
    return DiffusersParts(_tokeniser(config, splits), latents.prepare(config, splits))


def _tokeniser(config: ConfigDict, splits: Splits) -> Tokeniser | None:
    if REPORT not in config.modalities:
        return None
    texts = texts_of(splits.train)  # type: ignore[arg-type]
    if not config.tokeniser:
        return Tokeniser.fit(texts)
    return Tokeniser.load(expand(config.tokeniser), texts)


def load(config: ConfigDict, folder: Path) -> DiffusersParts:
    """The parts of a workdir."""
    tokeniser = Tokeniser.load(folder / FILE) if REPORT in config.modalities else None
    places = latents.parse_autoencoders(config)
    return DiffusersParts(tokeniser, latents.load(places, config.latent.dtype, folder))
