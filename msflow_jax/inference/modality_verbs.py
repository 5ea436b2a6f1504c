"""What a trained model of several modalities does: translate, report, place in a common space."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Info
from msflow_jax.inference.runners import make_embedder, make_reporter, make_translator


class ModalityVerbs:
    """The verbs of :class:`~msflow_jax.inference.flow.Flow` for models of several modalities."""

    config: ConfigDict
    info: Info
    model: Any
    params: Any
    parts: Any

    def require(self, verb: str) -> None:
        """See :class:`~msflow_jax.inference.flow.Flow`."""
        raise NotImplementedError

    def settings(self, verb: str, requested: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """See :class:`~msflow_jax.inference.flow.Flow`."""
        raise NotImplementedError

    def translate(
        self,
        sources: Mapping[str, np.ndarray],
        target: str,
        *,
        draws: int = 0,
        seed: int | None = None,
        description: str = "",
        **requested: Any,
    ) -> np.ndarray:
        """Images of another modality of what the sources show, uint8 ``[K, N, *shape]``.

        Args:
            sources: images uint8 ``[N, *shape]`` by modality, or rows of tokens int32 ``[N, T]``.
            target: modality to draw.
            draws: noise draws K; 0: as configured.
            seed: seed of the noise; None for the configured one.
            description: words before a progress bar; none where empty.
            **requested: settings of this model's ``translate``; 0 or empty: as configured.

        Raises:
            ValueError: an unknown modality, images of another shape, or an unsupported setting.
            FloatingPointError: an image is not finite.
        """
        self.require("translate")
        known, sample = self.info.modalities, self.config.sample
        for name, array in sources.items():
            if name in known:
                known[name].check(array, name)
        run = make_translator(
            self.model, seed=sample.seed if seed is None else seed, batch=sample.batch, target=target,
            draws=draws or sample.translate.draws, **self.settings("translate", requested),
        )  # fmt: skip
        return run(self.params, dict(sources), description)

    def report(
        self,
        sources: Mapping[str, np.ndarray],
        *,
        draws: int = 0,
        seed: int | None = None,
        description: str = "",
        **requested: Any,
    ) -> tuple[list[list[str]], np.ndarray]:
        """Reports of what the sources show, for each draw one text per image.

        Arguments as for :meth:`translate`.

        Returns:
            Texts, K lists of N; and the log-probability of each per token, ``[K, N]``.

        Raises:
            ValueError: a model without reports, or as :meth:`translate`.
        """
        self.require("report")
        sample = self.config.sample
        run = make_reporter(
            self.model, seed=sample.seed if seed is None else seed, batch=sample.batch,
            draws=draws or sample.translate.draws, **self.settings("translate", requested),
        )  # fmt: skip
        tokens, logs = run(self.params, dict(sources), description)
        return [self.parts.tokeniser.decode(rows) for rows in tokens], logs

    def embed(self, name: str, x: np.ndarray, *, description: str = "") -> np.ndarray:
        """Unit vectors ``[N, D]`` in the common space of a modality: images uint8, or rows of tokens."""
        self.require("translate")
        return make_embedder(self.model, name, batch=self.config.sample.batch)(
            self.params, x, description
        )
