"""What a trained model of several modalities does: translate, report, draw, place in a common space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Info
from msflow_jax.data.batches import to_float
from msflow_jax.families import draws_modalities
from msflow_jax.inference.given import check_source, check_sources
from msflow_jax.inference.runners import (
    check_logs,
    make_embedder,
    make_joint_generator,
    make_reporter,
    make_translator,
    to_images,
)
from msflow_jax.inference.settings import used_seed
from msflow_jax.parallel.batched import batched, finished
from msflow_jax.settings import whole_number
from msflow_jax.streams import content_index

_AT_ONCE = 128  # images whose content is looked at


@dataclass(frozen=True)
class DrawnTogether:
    """N examples, each of several modalities.

    Attributes:
        images: uint8 ``[N, *shape]`` by modality.
        texts: N reports by modality.
        log_probability: mean log-probability of a token of each report, ``[N]`` by modality.
    """

    images: Mapping[str, np.ndarray]
    texts: Mapping[str, list[str]] = field(default_factory=dict)
    log_probability: Mapping[str, np.ndarray] = field(default_factory=dict)


class ModalityVerbs:
    """The verbs of :class:`~msflow_jax.inference.flow.Flow` for models of several modalities."""

    path: Any
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
        draws: int | None = None,
        seed: int | None = None,
        groups: Any = None,
        description: str = "",
        **requested: Any,
    ) -> np.ndarray:
        """Images of another modality of what the sources show, uint8 ``[K, N, *shape]``.

        Args:
            sources: images ``[N, *shape]`` by modality, as :meth:`classify` takes them; of reports rows
                of tokens int32 ``[N, T]``, or N texts.
            target: modality to draw.
            draws: noise draws K; None or 0: as configured.
            seed: seed of the noise; None for the configured one.
            groups: what each image is of, ``[N]``: those of one volume have one noise in each draw, so
                that neighbouring slices agree; None: each image has its own.
            description: words before a progress bar; none where empty.
            **requested: settings of this model's ``translate``; 0 or empty: as configured.

        Raises:
            ValueError: an unknown modality, no source or several of different lengths, images of another
                type, range or shape, a target that is text, or an unsupported setting.
            FloatingPointError: an image is not finite.
        """
        self.require("translate")
        given, sample = check_sources(self, sources), self.config.sample
        if getattr(self.model.require(target), "text", False):
            raise ValueError(f"target {target!r} is text: use flow.report(sources)")
        run = make_translator(
            self.model, seed=used_seed(self.config, seed), batch=sample.batch, target=target,
            draws=_draws(draws, sample.translate.draws), **self.settings("translate", requested),
        )  # fmt: skip
        numbers = shared_numbers(given[min(given)], groups)
        return run(self.params, (given, numbers), description)

    def generate_modalities(
        self,
        modalities: Sequence[str],
        count: int = 1,
        *,
        sources: Mapping[str, np.ndarray] | None = None,
        seed: int | None = None,
        description: str = "",
        **requested: Any,
    ) -> DrawnTogether:
        """Several modalities of the same examples, each looking at the others while it is drawn.

        Args:
            modalities: what to draw; one alone too.
            count: examples of each source in turn, or in all where there is none.
            sources: what is known of them, as for :meth:`translate`; None: nothing.
            seed: seed of the noise; None for the configured one.
            description: words before a progress bar; none where empty.
            **requested: settings of this model's ``generate``; 0 or empty: as configured.

        Raises:
            ValueError: a model that draws classes, an unknown modality, none, or one that is a source
                too, sources as of :meth:`translate`, guidance by what there is not, or an unsupported
                setting.
            FloatingPointError: an image, or a report's log-probability, is not finite.
            Interrupted: Ctrl-C came after the first batch; the error holds what was done.
        """
        self.require("generate")
        if not draws_modalities(self.model):
            raise ValueError(f"the model of {self.path} draws images of classes, not modalities")
        wanted = [modalities] if isinstance(modalities, str) else modalities
        names = tuple(dict.fromkeys(wanted))
        given = check_sources(self, {} if sources is None else sources, least=0)
        self._check_joint(names, given, requested)
        count = whole_number("count", count)
        repeated = {name: np.repeat(array, count, axis=0) for name, array in given.items()}
        total = len(next(iter(repeated.values()))) if repeated else count
        sample = self.config.sample
        run = make_joint_generator(
            self.model, seed=used_seed(self.config, seed), batch=sample.batch,
            modalities=names, **self.settings("generate", requested),
        )  # fmt: skip
        items = repeated, np.arange(total, dtype=np.int32)
        return finished(lambda: run(self.params, items, description), self._drawn)

    def _check_joint(
        self, names: Sequence[str], given: Mapping[str, np.ndarray], requested: Any
    ) -> None:
        for name in (*names, *given):
            self.model.require(name)
        if not names:
            raise ValueError(f"name what to draw, of {', '.join(self.model.modalities)}")
        if both := set(names) & set(given):
            raise ValueError(f"{min(both)!r} is given, and cannot be drawn as well: leave it out")
        if requested.get("guidance") and not given:
            raise ValueError("guidance is by a source, and none is given: leave it out")
        if requested.get("partner_guidance") and len(names) + len(given) < 2:
            raise ValueError(f"{names[0]!r} alone has no partners: leave partner_guidance out")

    def _drawn(self, found: Mapping[str, Any]) -> DrawnTogether:
        text = {name for name in found if self.model.modalities[name].text}
        for name in text:
            check_logs(found[name][1])
        return DrawnTogether(
            {name: to_images(one) for name, one in found.items() if name not in text},
            {name: self.parts.tokeniser.decode(found[name][0]) for name in text},
            {name: found[name][1] for name in text},
        )

    def report(
        self,
        sources: Mapping[str, np.ndarray],
        *,
        draws: int | None = None,
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
            FloatingPointError: a log-probability is not finite.
        """
        self.require("report")
        given, sample = check_sources(self, sources), self.config.sample
        run = make_reporter(
            self.model, seed=used_seed(self.config, seed), batch=sample.batch,
            draws=_draws(draws, sample.translate.draws), **self.settings("translate", requested),
        )  # fmt: skip
        tokens, logs = run(self.params, given, description)
        return [self.parts.tokeniser.decode(rows) for rows in tokens], logs

    def embed(self, name: str, x: Any, *, description: str = "") -> np.ndarray:
        """Unit vectors ``[N, D]`` in the common space of a modality.

        Args:
            name: the modality.
            x: images ``[N, *shape]``, rows of tokens or texts, as sources of :meth:`translate`.
            description: words before a progress bar; none where empty.

        Raises:
            ValueError: a model without a common space, an unknown modality, or what does not fit.
            FloatingPointError: a vector is not finite.
        """
        self.require("translate")
        if not hasattr(self.model, "embed"):
            raise ValueError(f"the model of {self.path} has no common space to embed {name} in")
        run = make_embedder(self.model, name, batch=self.config.sample.batch)
        return run(self.params, check_source(self, name, x), description)


def shared_numbers(images: np.ndarray, groups: Any = None) -> np.ndarray:
    """Numbers to fold noise from, uint32 ``[N]``, which the images of one group share.

    Each is the sum of ``content_index`` over the group, so that it depends on what is seen alone.

    Args:
        images: uint8 ``[N, *shape]``, or rows of tokens.
        groups: what each is of, ``[N]``; None: each is a group of its own.

    Raises:
        ValueError: another number of groups than of images.
    """
    own = batched(lambda _, x, index: content_index(to_float(x)), _AT_ONCE)({}, images)
    if groups is None:
        return own
    if len(groups) != len(images):
        raise ValueError(f"{len(images)} images need as many groups, got {len(groups)}")
    _, of = np.unique(np.asarray(groups), return_inverse=True)
    total = np.zeros(of.max() + 1, np.uint32)
    np.add.at(total, of, own)  # whole numbers of 32 bits, which wrap around
    return total[of]


def _draws(requested: int | None, configured: int) -> int:
    return whole_number("draws", requested) if requested else configured
