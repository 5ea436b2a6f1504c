"""What a trained model that understands does: answer questions, and show what it sees of images."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Info
from msflow_jax.data.batches import to_float
from msflow_jax.data.checks import check_images
from msflow_jax.inference.answered import fitted, temperatures
from msflow_jax.inference.kept import Function, kept
from msflow_jax.inference.runners import as_for_a_loss
from msflow_jax.parallel.batched import Runner

_NAMED = "identification/name"  # the task and the form of an answer that identifying is


def _answering(model: Any, key: jax.Array) -> Function:
    def function(params: Any, items: Any, index: jax.Array) -> dict[str, jax.Array]:
        found = model.answer(params, jax.tree.map(as_for_a_loss, items))
        return {name: x for name, x in found.items() if name not in ("place", "back", "facts")}

    return function


def _identifying(model: Any, key: jax.Array) -> Function:
    return lambda params, items, index: model.modality_logits(params, to_float(items))


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
            questions: arrays ``[N, ...]`` as the model's questions have them: images as
                ``Flow.classify`` takes them, tokens.
            description: words before a progress bar; none where empty.

        Raises:
            ValueError: a model that answers nothing, or images of another type, range or shape.
        """
        self.require("answer")
        given = {
            name: self._check(array, name) if name.startswith("image") else array
            for name, array in questions.items()
        }
        return self._run(_answering)(self.params, given, description)

    def identify(self, images: Any, *, description: str = "") -> np.ndarray:
        """Probabilities of the modalities ``[N, M]`` that images ``[N, *shape]`` show, checked alike.

        They are at the temperature of the same answers to questions, see
        :func:`~msflow_jax.inference.answered.fitted`.
        """
        from msflow_jax.evaluation.scaling import apply_temperature

        self.require("answer")
        logits = self._run(_identifying)(self.params, self._check(images, "images"), description)
        return apply_temperature(logits, temperatures(fitted(self)).get(_NAMED, 1.0))

    def content(self, images: Any, *, description: str = "") -> np.ndarray:
        """Content tokens ``[N, T, F]`` of images ``[N, *shape]``, checked alike."""
        self.require("answer")
        return self._run(_seeing)(self.params, self._check(images, "images"), description)

    def _run(self, make: Callable[..., Function]) -> Runner:
        return kept(make, self.model, seed=0, batch=self.config.sample.batch)

    def _check(self, images: Any, name: str) -> np.ndarray:
        first = next(iter(self.model.modalities))
        return check_images(images, self.info.of_modality(first).shape, name)
