"""A trained model ready to use: images in, predictions, images and maps out."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Info, of_user
from msflow_jax.data.checks import check_images
from msflow_jax.families import Family, asked_for, choose_settings, draws_modalities, require_verb
from msflow_jax.inference.abstain_verbs import AbstainVerbs
from msflow_jax.inference.answer_verbs import AnswerVerbs
from msflow_jax.inference.calibration import Calibration
from msflow_jax.inference.kinds import with_distances
from msflow_jax.inference.modality_verbs import ModalityVerbs
from msflow_jax.inference.prediction import Prediction
from msflow_jax.inference.runners import make_classifier, make_explainer, make_generator
from msflow_jax.inference.segment_verbs import SegmentVerbs
from msflow_jax.inference.settings import prior_weights, used_seed
from msflow_jax.inference.windows import warn_of_pieces
from msflow_jax.parallel.batched import finished
from msflow_jax.settings import Setting, whole_number


@dataclass(frozen=True)
class Flow(ModalityVerbs, AbstainVerbs, AnswerVerbs, SegmentVerbs):
    """A workdir opened for use, see :func:`msflow_jax.open`.

    Attributes:
        path: path of the workdir.
        config: configuration of the run.
        info: what the training data are: classes, shape, training counts.
        family: family that the model belongs to.
        parts: what the model needs beside its parameters.
        model: pure methods; see :class:`msflow_jax.families.Model`.
        params: parameters of the model, those of the parts among them.
        step: training step of the parameters.
        calibration: what the standing evaluation learned.
        drawing: step and own parameters to generate with, where another checkpoint draws best; or None.
        digest: of the checkpoints of ``params``; empty where it is not known.
    """

    path: Path
    config: ConfigDict
    info: Info
    family: Family
    parts: Any
    model: Any
    params: Any
    step: int
    calibration: Calibration = dataclasses.field(default_factory=Calibration)
    drawing: tuple[int, Any] | None = None
    digest: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.model.classes

    @property
    def drawing_step(self) -> int:
        """Training step of :attr:`drawing_params`."""
        return self.step if self.drawing is None else self.drawing[0]

    @property
    def drawing_params(self) -> Any:
        """Parameters that images are generated with."""
        return self.params if self.drawing is None else {**self.drawing[1], **self.parts.params}

    def classify(
        self, images: Any, *, seed: int | None = None, description: str = "", **requested: Any
    ) -> Prediction:
        """Classes, probabilities and uncertainties, calibrated as the standing evaluation found.

        Args:
            images: uint8 ``[N, *space, C]``, or floats in [-1, 1]; of one channel also ``[N, *space]``.
            seed: seed of the label noise; None for the configured one.
            description: words before a progress bar; none where empty.
            **requested: settings of this model's ``classify`` such as ``draws`` and ``steps``; 0 or
                empty: as the standing evaluation used them, or else as configured.

        Returns:
            Predictions ``[D, N, ...]`` in numpy; its properties pool the draws.

        Raises:
            ValueError: images of another type, range or shape, or a setting that the model has not.
            FloatingPointError: a prediction is not finite.
            Interrupted: Ctrl-C after the first batch, as in other verbs; it holds what was done.
        """
        self.require("classify")
        images, sample = self.check(images), self.config.sample
        given = {**sample.classify.to_dict(), **self.calibration.settings}
        settings = choose_settings(self.model, "classify", given, requested, self.ranges)
        asked = tuple((name, settings[name]) for name in asked_for(requested))
        run = make_classifier(
            self.model, seed=used_seed(self.config, seed), batch=sample.batch,
            weights=prior_weights(self, given.get("prior", "natural")),
            overlap=sample.overlap, **settings,
        )  # fmt: skip
        scaling = self.calibration.scaling
        return finished(
            lambda: run(self.params, images, description),
            lambda out: dataclasses.replace(
                with_distances(out.scaled(scaling), self.calibration.familiar), requested=asked
            ),
        )

    def generate(
        self,
        labels: str | int | Sequence[str | int],
        count: int = 1,
        *,
        seed: int | None = None,
        description: str = "",
        **requested: Any,
    ) -> np.ndarray:
        """Images of classes, uint8 ``[N, *space, C]``, ``count`` of each label in turn.

        A model of random crops draws what it knows, pieces of their size, with a warning.

        Args:
            labels: class names or numbers, one or several.
            count: images per label.
            seed: seed of the noise; None for the configured one.
            description: words before a progress bar; none where empty.
            **requested: settings of this model's ``generate``; 0 or empty: as configured.

        Raises:
            ValueError: an unknown class, a count below 1, or a setting that the model has not; a model
                of several modalities, see :meth:`generate_modalities`.
            FloatingPointError: an image is not finite.
        """
        self.require_classes()
        count = whole_number("count", count)
        warn_of_pieces(self.model, self.info)
        numbers = self.model.numbers([labels] if np.ndim(labels) == 0 else labels)
        sample = self.config.sample
        run = make_generator(
            self.model, seed=used_seed(self.config, seed), batch=sample.batch,
            **self.settings("generate", requested),
        )  # fmt: skip
        return run(self.drawing_params, np.repeat(numbers, count), description)

    def settings(self, verb: str, requested: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What a verb is called with: as configured, changed as requested."""
        given = self.config.sample[verb].to_dict()
        return choose_settings(self.model, verb, given, requested, self.ranges)

    @property
    def ranges(self) -> Mapping[str, Setting]:
        """Settings of the family by dotted key, each with the values that it takes."""
        return getattr(self.family, "table", {})

    def explain(
        self, images: Any, labels: Any, others: Any, *, description: str = "", **requested: Any
    ) -> Any:
        """Maps of log p(x | label) and of its ratio to log p(x | other label), in nats.

        Args:
            images: images as :meth:`classify` takes them.
            labels: class names or numbers to explain, ``[N]``, or one for all.
            others: class names or numbers to compare with, alike.
            description: words before a progress bar; none where empty.
            **requested: settings of this model's ``explain``, such as ``spread``.

        Returns:
            The model's ``Explanation`` in numpy: ``map`` and ``log_ratio``, each ``[N, *space]``.

        Raises:
            ValueError: a model without a likelihood, or images that do not fit.
        """
        self.require("explain")
        images, sample = self.check(images), self.config.sample
        both = ([x] * len(images) if np.ndim(x) == 0 else x for x in (labels, others))
        pair = [self.model.numbers(given) for given in both]
        if any(len(numbers) != len(images) for numbers in pair):
            raise ValueError(f"{len(images)} images need as many labels and others")
        settings = choose_settings(self.model, "explain", {}, requested)
        run = make_explainer(self.model, seed=sample.seed, batch=sample.batch, **settings)
        return finished(
            lambda: run(self.params, (images, *pair), description),
            lambda maps: jax.tree.map(np.asarray, maps),
        )

    def resizes(self, asked: bool | None = None) -> bool:
        """Whether pictures of another size are brought to the model's; None: as in training."""
        data, flat = self.config.data, self.info.dims == 2
        return of_user(data.name) and data.side > 0 and flat if asked is None else asked

    def require(self, verb: str) -> None:
        """Raises a ValueError that names the workdir where its model cannot do this."""
        require_verb(self.model, verb, str(self.path))

    def require_classes(self) -> None:
        """Raises a ValueError that names the workdir where its model draws no images of classes."""
        self.require("generate")
        if draws_modalities(self.model):
            raise ValueError(f"the model of {self.path} draws modalities, not images of classes")

    def info_of(self, modality: str = "") -> Info:
        """The facts on images that are classified: those of the data, of several modalities of one.

        Raises:
            ValueError: a modality of a model of one kind of image, none of a model of several, or one
                that it has not.
        """
        known = getattr(self.model, "modalities", {})
        if modality and modality not in known:
            there = f"it has {', '.join(known)}" if known else "it is of one kind of image"
            raise ValueError(f"--modality={modality}: not of the model of {self.path}: {there}")
        if known and not modality:
            raise ValueError(
                f"the model of {self.path} is of several modalities, whose files are read differently: "
                f"say which the images are of by --modality, of {', '.join(known)}"
            )
        return self.info.of_modality(modality) if modality else self.info

    @property
    def pictured(self) -> tuple[str, ...]:
        """Modalities of images that a model of several has; none of one kind of image."""
        known = getattr(self.model, "modalities", {})
        return tuple(name for name, one in known.items() if not getattr(one, "text", False))

    def images_of(self, modality: str) -> Info:
        """The facts on images of one of several modalities.

        Raises:
            ValueError: the model has no such modality, or it is text.
        """
        self.model.require(modality)
        if modality not in self.pictured:
            raise ValueError(
                f"{modality!r} is text, where one of {', '.join(self.pictured)} is meant: reports are "
                "written by report, and drawn from by generate"
            )
        return self.info.of_modality(modality)

    def check(self, images: Any) -> np.ndarray:
        """Images as the model takes them, ``[N, *shape]``; see :func:`check_images`."""
        known = getattr(self.model, "modalities", {})
        info = self.info.of_modality(next(iter(known))) if known else self.info
        return check_images(images, info.shape)
