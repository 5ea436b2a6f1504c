"""What a trained model of label maps does: say the class of every pixel, and how uncertain it is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.families import choose_settings
from msflow_jax.inference.segmenting import Segmented, make_segmenter
from msflow_jax.inference.settings import used_seed
from msflow_jax.settings import Setting


class SegmentVerbs:
    """The verbs of :class:`~msflow_jax.inference.flow.Flow` for models of label maps."""

    config: ConfigDict
    model: Any
    params: Any

    def require(self, verb: str) -> None:
        """See :class:`~msflow_jax.inference.flow.Flow`."""
        raise NotImplementedError

    def check(self, images: Any) -> np.ndarray:
        """See :class:`~msflow_jax.inference.flow.Flow`."""
        raise NotImplementedError

    @property
    def ranges(self) -> Mapping[str, Setting]:
        """See :class:`~msflow_jax.inference.flow.Flow`."""
        raise NotImplementedError

    def segment(
        self, images: Any, *, seed: int | None = None, description: str = "", **requested: Any
    ) -> np.ndarray:
        """The class of every pixel, uint8 ``[N, *space]``; see :meth:`segment_uncertainly`."""
        given: Any = {"seed": seed, "description": description, **requested}
        return self.segment_uncertainly(images, **given).maps

    def segment_uncertainly(
        self, images: Any, *, seed: int | None = None, description: str = "", **requested: Any
    ) -> Segmented:
        """The class of every pixel and its uncertainty, by the settings of the configuration.

        Args:
            images: uint8 ``[N, *space, C]``, or floats in [-1, 1]; of one channel also ``[N, *space]``.
            seed: seed of the label noise; None for the configured one.
            description: words before a progress bar; none where empty.
            **requested: settings of this model's ``segment`` such as ``draws`` and ``steps``; 0 or
                empty: as configured.

        Returns:
            ``maps`` uint8 ``[N, *space]`` and ``uncertainty`` float32 ``[N, *space]`` in [0, 1], the
            entropy of the class probabilities of all draws together, divided by log K.

        Raises:
            ValueError: a model that does not segment, images that do not fit, or another class prior.
            FloatingPointError: a probability is not finite.
            Interrupted: Ctrl-C came after the first batch; the error holds what was done.
        """
        self.require("segment")
        images, sample = self.check(images), self.config.sample
        run = make_segmenter(
            self.model, seed=used_seed(self.config, seed), batch=sample.batch,
            overlap=sample.overlap, **self.segment_settings(requested),
        )  # fmt: skip
        return run(self.params, images, description)

    def segment_settings(self, requested: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What ``segment`` is called with: as configured for classification, changed as requested.

        Raises:
            ValueError: a setting that the model has not, or another class prior than ``natural``.
        """
        given = self.config.sample.classify.to_dict()
        if (prior := given.get("prior")) != "natural":
            raise ValueError(f"a segmentation knows no class prior but 'natural', got {prior!r}")
        return choose_settings(self.model, "segment", given, requested, self.ranges, "classify")
