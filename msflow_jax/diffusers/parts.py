"""What diffusers need beside their parameters: the tokeniser of reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from msflow_jax.data import Splits
from msflow_jax.diffusers.pairs import REPORT, texts_of
from msflow_jax.diffusers.tokens import Tokeniser
from msflow_jax.storage.places import expand

FILE = "tokeniser.json"


@dataclass(frozen=True)
class DiffusersParts:
    """The tokeniser; None where there are no reports."""

    tokeniser: Tokeniser | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Writes the tokeniser into a workdir."""
        if self.tokeniser is not None:
            self.tokeniser.save(folder / FILE)


def prepare(config: ConfigDict, splits: Splits) -> DiffusersParts:
    """The parts of a fresh run.

    Raises:
        FileNotFoundError: there is no such tokeniser.
        ValueError: it is damaged, or there are no reports.
    """
    if REPORT not in config.modalities:
        return DiffusersParts()
    texts = texts_of(splits.train)  # type: ignore[arg-type]
    if not config.tokeniser:
        return DiffusersParts(Tokeniser.fit(texts))
    return DiffusersParts(Tokeniser.load(expand(config.tokeniser), texts))


def load(config: ConfigDict, folder: Path) -> DiffusersParts:
    """The parts of a workdir."""
    if REPORT not in config.modalities:
        return DiffusersParts()
    return DiffusersParts(Tokeniser.load(folder / FILE))
