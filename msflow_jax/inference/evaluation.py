"""An evaluation under way: predictions and samples are computed once and handed to all its sections."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from msflow_jax.data import Split, Splits
from msflow_jax.data.singles import MODALITY, one_by_one
from msflow_jax.evaluation.familiar import MOST, Familiar, of_each_class
from msflow_jax.evaluation.scaling import TEMPERATURE, cross_fit, fit_scaling
from msflow_jax.families import Section
from msflow_jax.inference.abstain_verbs import rejected
from msflow_jax.inference.calibration import Calibration, measure_thresholds
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.kinds import learn_reference, p_values, with_distances
from msflow_jax.inference.prediction import Prediction
from msflow_jax.inference.sets import calibrate
from msflow_jax.inference.settings import image_weights, of_equal_classes
from msflow_jax.inference.tables import prediction_rows
from msflow_jax.progress import doing

Block = dict[str, Any]
# What an evaluation.json holds beside the sections.
RESERVED = (
    *("split", "family", "sections", "words", "data", "settings", "learned"),
    *("counts", "run"),
)
Arrays = dict[str, np.ndarray]
REFERENCE = "reference images"  # training images under the name that Evaluation.raw knows them by


class Evaluation:
    """What the sections of an evaluation share.

    Args:
        flow: trained model without a calibration.
        splits: data of the run, the training images in memory; or images from elsewhere by name.
        split: name of the split that is reported.
        outside: sets of images of another kind, uint8 ``[N, *shape]`` by name.
        features: folder of a feature network, for further distances; None for none.
        by: columns of the split's facts whose values make subgroups.
        calibration: what was learned before, which is applied; None: it is learned from the validation
            split.

    Raises:
        ValueError: the split has no such column.
    """

    def __init__(
        self,
        flow: Flow,
        splits: Splits | Mapping[str, Split],
        split: str,
        outside: Mapping[str, np.ndarray] | None = None,
        features: Any = None,
        by: Sequence[str] = (),
        calibration: Calibration | None = None,
    ):
        self.flow = dataclasses.replace(flow, calibration=Calibration())
        self.splits: Any = splits
        self.split, self.features = split, features
        self.outside, self.by = dict(outside or {}), tuple(by)
        self._given, self._raw = calibration, dict[str, Prediction]()
        self._known = dict[str, Any]()
        for name in self.by:
            self._check_column(name)

    @property
    def chosen(self) -> Any:
        """The split that is reported."""
        return self.splits[self.split]

    def labelled(self, name: str) -> Any:
        """The images of a split with a class each; those of several modalities one by one."""
        split = self.splits[name]
        if "image" in split.modalities:
            return split
        if (key := f"{name} split") not in self._known:
            self._known[key] = one_by_one(split, tuple(self.flow.model.modalities))
        return self._known[key]

    def column(self, name: str) -> np.ndarray:
        """A fact of every image that is classified, ``[N]``: one of ``by``."""
        return np.asarray(self.labelled(self.split).truth[name])

    def _check_column(self, name: str) -> None:
        """Raises a ValueError where the split has no such column, or one of texts such as reports."""
        known = dict(self.chosen.truth or {})
        if "image" not in self.chosen.modalities:
            known.setdefault(MODALITY, np.empty(0, str))
        if name not in known:
            there = ", ".join(known) or "none"
            raise ValueError(
                f"--by={name}: the {self.split} split has no such column; it has {there}"
            )
        if np.asarray(known[name]).dtype == object:
            raise ValueError(
                f"--by={name}: texts of their own make no subgroups, and are written nowhere"
            )

    @property
    def sample(self) -> Any:
        """The part ``sample`` of the configuration."""
        return self.flow.config.sample

    @property
    def flips(self) -> tuple[str, ...]:
        """Axes along which training mirrored images, as ``data.order.FLIPS`` names them."""
        return self.flow.info.flips if self.flow.config.train.flips else ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.flow.classes

    @property
    def classified(self) -> bool:
        """Whether a section asked for predictions, of which something was learned."""
        return bool(self._raw)

    def raw(self, name: str, images: np.ndarray | None = None) -> Prediction:
        """What the model itself predicts of a split, or of images given under a name of their own."""
        if name not in self._raw:
            if images is None:
                images, what = self.labelled(name).images, f"classifying the {name} split"
            else:
                what = f"classifying {name}"
            found = self.flow.classify(images, description=what)
            known = None if found.features is None else self.familiar
            self._raw[name] = with_distances(found, known)
        return self._raw[name]

    @cached_property
    def familiar(self) -> Familiar | None:
        """What is known of the features of training images, at most ``familiar.MOST`` of them."""
        if self._given is not None:
            return self._given.familiar
        train = self.splits.train
        few = train.take(of_each_class(np.asarray(train.labels), MOST, self.sample.seed))
        found = self.flow.classify(few.images, draws=1, description="features of training images")
        return Familiar.of(found.features[0], few.labels)

    @cached_property
    def calibration(self) -> Calibration:
        """Temperature, or the configured other scaling, and thresholds, of the validation split."""
        if self._given is not None:
            return self._given
        val, labels = self.raw("val"), self.labelled("val").labels
        found = fit_scaling(
            labels,
            val.log_probabilities,
            self.method,
            val.log_prob is not None,
            self.weights("val"),
        )
        known = None if val.features is None else self.familiar
        return Calibration(
            self.sample.classify.to_dict(), found.temperature, found.bias,
            measure_thresholds(val.scaled(found)), calibrate(self), learn_reference(val),
            known.digest if known else "", known, self.flow.step,
            weighed=of_equal_classes(self.flow),
        )  # fmt: skip

    @property
    def method(self) -> str:
        """How probabilities are scaled."""
        return self.sample.classify.get("calibration", TEMPERATURE)

    def weights(self, name: str) -> np.ndarray | None:
        """How much each image of a split counts, see :func:`image_weights`."""
        return image_weights(self.flow, self.labelled(name).labels)

    @cached_property
    def prediction(self) -> Prediction:
        """The calibrated predictions of the split that is reported.

        Each validation image is scaled as the others' subjects ask for, lest the report be better than
        what it promises.
        """
        if self.is_reference:
            return self.cross_fitted
        return self.raw(self.split).scaled(self.calibration.scaling)

    @property
    def is_reference(self) -> bool:
        """Whether what is reported is what the calibration was learned from."""
        return self.split == "val" and self._given is None

    @cached_property
    def cross_fitted(self) -> Prediction:
        """Predictions of the validation split, each scaled as the others' subjects ask for."""
        val, found = self.labelled("val"), self.raw("val")
        given = found.log_probabilities, val.groups, self.method, found.log_prob is not None
        return found.scaled(cross_fit(val.labels, *given, self.weights("val")))

    def predictions(self, evaluation: str) -> list[dict[str, Any]]:
        """The table of the split that is reported, see :func:`prediction_rows`."""
        split, same = self.labelled(self.split), self.is_reference
        rejections = rejected(self.calibration, self.prediction, themselves=same)
        outside = p_values(self.prediction, self.calibration.outside, themselves=same)
        return prediction_rows(
            self.prediction, split.names, rejections, evaluation, split.labels, outside
        )

    def features_of(self, name: str, images: np.ndarray, labels: np.ndarray) -> Any:
        """A small classifier of a modality's training images, trained once for all sections."""
        from msflow_jax.evaluation.features import train_feature_classifier

        if name not in self._known:
            self._known[name] = train_feature_classifier(
                images, labels, len(self.classes), seed=self.sample.seed
            )
        return self._known[name]

    @cached_property
    def samples(self) -> tuple[np.ndarray, np.ndarray]:
        """Generated images uint8 ``[N, *shape]`` and their labels ``[N]``, every class equally often."""
        count = self.sample.generate.per_class
        labels = np.tile(np.arange(len(self.classes), dtype=np.int32), count)
        return self.flow.generate(labels.tolist(), description="generating"), labels


def evaluate_sections(
    run: Evaluation, sections: Sequence[Section]
) -> tuple[dict[str, Block], Arrays]:
    """The blocks of the sections by name, and all their arrays.

    Raises:
        ValueError: two sections of one name, or two that give an array of the same name.
    """
    blocks: dict[str, Block] = {}
    arrays: Arrays = {}
    for i, section in enumerate(sections, 1):
        if section.name in blocks or section.name in RESERVED:
            raise ValueError(f"the name {section.name!r} of a section is taken: rename it")
        with doing(f"evaluating: {section.name} ({i} of {len(sections)})"):
            blocks[section.name], own = section(run)
        if twice := arrays.keys() & own.keys():
            raise ValueError(f"two sections give the array {min(twice)!r}: rename one")
        arrays |= own
    return blocks, arrays
