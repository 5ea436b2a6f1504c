"""What a trained model that understands does: answer questions, and show what it sees of images."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Info
from msflow_jax.data.batches import to_float
from msflow_jax.inference.kept import Function, kept
from msflow_jax.inference.runners import as_for_a_loss
from msflow_jax.parallel.batched import Runner


def _answering(model: Any, key: jax.Array) -> Function:
    def function(params: Any, items: Any, index: jax.Array) -> dict[str, jax.Array]:
        found = model.answer(params, jax.tree.map(as_for_a_loss, items))
        return {name: x for name, x in found.items() if name not in ("place", "back", "facts")}

    return function


def _identifying(model: Any, key: jax.Array) -> Function:
    return lambda params, items, index: model.identify(params, to_float(items))


def _seeing(model: Any, key: jax.Array) -> Function:
    return lambda params, items, index: model.see(params, to_float(items)).content


class AnswerVerbs:
    """The verbs of :class:`~msflow_jax.inference.flow.Flow` for models that understand."""

    config: ConfigDict
    info: Info
    model: Any
    params: Any

    def require(self, verb: str) -> None:
        """See :class:`~msflow_jax.inference.flow.Flow`."""
        raise NotImplementedError

    def answer(
        self, questions: Mapping[str, np.ndarray], *, description: str = ""
    ) -> dict[str, np.ndarray]:
        """Logits of the answers to questions, by what is answered; see the model's ``answer``.

        Args:
            questions: arrays ``[N, ...]`` as the model's questions have them: images uint8, tokens.
            description: words before a progress bar; none where empty.

        Raises:
            ValueError: a model that answers nothing.
        """
        self.require("answer")
        for name, array in questions.items():
            if name.startswith("image"):
                self._check(array, name)
        return self._run(_answering)(self.params, dict(questions), description)

    def identify(self, images: np.ndarray, *, description: str = "") -> np.ndarray:
        """Probabilities of the modalities ``[N, M]`` that images uint8 ``[N, *shape]`` show."""
        self.require("answer")
        self._check(images, "images")
        return self._run(_identifying)(self.params, images, description)

    def content(self, images: np.ndarray, *, description: str = "") -> np.ndarray:
        """Content tokens ``[N, T, F]`` of images uint8 ``[N, *shape]``."""
        self.require("answer")
        self._check(images, "images")
        return self._run(_seeing)(self.params, images, description)

    def _run(self, make: Callable[..., Function]) -> Runner:
        return kept(make, self.model, seed=0, batch=self.config.sample.batch)

    def _check(self, images: np.ndarray, name: str) -> None:
        first = next(iter(self.model.modalities))
        self.info.modalities[first].check(images, name)
        if images.dtype != np.uint8:
            raise ValueError(f"{name} must be uint8, got {images.dtype}")
