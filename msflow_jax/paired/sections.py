"""The section on translation between image modalities."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np

from msflow_jax.data import Split
from msflow_jax.data.batches import to_float
from msflow_jax.evaluation.paired import DARK
from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.inference.translated import moments
from msflow_jax.paired.anatomy import anatomy, is_trained, make_segmenter
from msflow_jax.paired.controls import Controls
from msflow_jax.paired.looks import looks_of
from msflow_jax.paired.pairs import examples, has, images_of, together
from msflow_jax.paired.settings import MAP
from msflow_jax.parallel.batched import Runner, batched

SHOWN = 4  # cases of a route in the report
CEILING = "true target"  # of what a segmenter finds: it is not perfect either


class Translator(Protocol):
    """What :class:`Translation` asks of a model beside its verb ``translate``.

    It may have ``linked(source, target) -> bool``, whether a route was trained: without it, all were.
    And ``modalities[name].latent``, whether a modality is drawn in an autoencoder's latents: without it,
    none is. Such a model has ``encode(params, name, x)``, latents of images ``[B, *shape]`` in [-1, 1],
    and ``decode(params, name, z)``, images of latents.
    """

    @property
    def controls(self) -> Controls:
        """What drawings are compared with and judged by; those that were trained have parameters."""


@dataclass(frozen=True)
class Translation:
    """Every route between two image modalities, beside identity, mean image and tone curve.

    The model is a :class:`Translator`; the configuration's part ``model`` has
    :func:`~msflow_jax.paired.settings.control_settings`.

    Attributes:
        routes: pairs (source, target).
        count: examples of the split at most.
        name: name of the section.
    """

    routes: tuple[tuple[str, str], ...]
    count: int
    name: str = "translation"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        block: Block = {"routes": [], "draws": run.sample.translate.draws, "examples": self.count}
        arrays: Arrays = {}
        if run.flow.config.model.segmenter.modalities and MAP not in run.chosen.arrays:
            block["left_out"] = "No Dice and no lesions: the data have no maps of tissues."
        segmenters = {target: make_segmenter(run, target) for _, target in self.routes}
        features = {target: make_features(run, target) for _, target in self.routes}
        for source, target in self.routes:
            if not together(run.chosen, (source, target)).any():
                block.setdefault("absent", []).append([source, target])
                continue
            found, shown = self._route(run, source, target, segmenters[target], features[target])
            block["routes"].append(found)
            arrays |= {f"translation_{source}_{target}_{k}": v for k, v in shown.items()}
        block["looks"] = looks_of(run)
        return block, arrays

    def _route(
        self, run: Evaluation, source: str, target: str, segment: Runner | None, features: Any
    ) -> tuple[Block, Arrays]:
        from msflow_jax.evaluation import translation as measures
        from msflow_jax.evaluation.distances import frechet_distance

        chosen = examples(run.chosen, (source, target), self.count)
        given, truth = (chosen.arrays[name] for name in (source, target))
        draws = run.flow.translate({source: given}, target, description=f"{source} to {target}")
        wanted = truth / 255.0
        inside = foreground(chosen, (source, target))
        mean = draws.astype(np.float64).mean(axis=0) / 255
        predicted = {"one draw": draws[0] / 255.0, f"mean of {len(draws)}": mean}
        predicted |= baselines(run.splits.train, given, source, target)
        if is_trained(run, "regression", f"{source}-{target}"):
            predicted["U-Net, L1"] = regressed(run, (source, target), given)
        if in_latents(run.flow.model, target):
            predicted["autoencoder alone"] = reconstructed(run, target, truth)
        real = features(truth) if features is not None and len(truth) > 1 else None
        rows, each = {}, []
        for name, image in predicted.items():
            measured = measures.scores(wanted, image, inside)
            each.append(measured["psnr"])
            rows[name] = measures.summary(measured, chosen.groups)
            if real is not None:
                distance = frechet_distance(features(_grey(image)), real)
                rows[name]["frechet"] = {"value": distance, "interval": None}
        intensity = run.flow.info.intensities.get(target)
        unit = 1.0
        if intensity is not None and intensity.unit:
            unit = float(intensity.high - intensity.low)
        found = {
            "source": source, "target": target, "trained": was_trained(run.flow.model, source, target),
            "examples": len(chosen), "blank": measures.blank(inside), "rows": rows,
            "unit": intensity.unit if intensity else "", "per_unit": unit,
            "spread": measures.spread(wanted, draws / 255.0, inside),
        }  # fmt: skip
        if segment is not None:
            found["anatomy"] = anatomy(run, segment, chosen, {**predicted, CEILING: wanted})
        first = slice(0, SHOWN)
        error = np.abs(mean - wanted)[first]
        deviation = moments(draws[:, first])[1]
        shown = {
            "source": given[first], "sample": draws[0, first], "mean": _grey(mean[first]),
            "truth": truth[first], "error": _grey(2 * error),
            # Of every example, in the order of the rows, so that two runs can be compared by subject.
            "psnr": np.stack(each), "subject": _numbers(chosen),
        }  # fmt: skip
        if deviation is not None:
            shown["spread"] = _grey(4 / 255 * deviation)
        return found, shown


def was_trained(model: Translator, source: str, target: str) -> bool:
    """Whether a model was trained on a route, see :class:`Translator`."""
    linked = getattr(model, "linked", None)
    return linked is None or linked(source, target)


def in_latents(model: Translator, name: str) -> bool:
    """Whether a model draws a modality in latents, see :class:`Translator`."""
    return getattr(getattr(model, "modalities", {}).get(name), "latent", False)


def make_features(run: Evaluation, name: str) -> Callable[[np.ndarray], np.ndarray] | None:
    """Features of a small classifier of a modality's training images; None if they are of one class."""
    images, labels = images_of(run.splits.train, name)
    return run.features_of(name, images, labels).features if len(np.unique(labels)) > 1 else None


def _numbers(split: Split) -> np.ndarray:
    """The subject of each example as a number, which tells nothing of who it is."""
    groups = np.arange(len(split)) if split.groups is None else np.array(split.groups)
    return np.unique(groups, return_inverse=True)[1].astype(np.int32)


def _grey(values: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)


def foreground(split: Split, names: Sequence[str]) -> np.ndarray:
    """Where any of these images is brighter than its darkest grey levels, bool ``[N, *space]``."""
    bright = [(split.arrays[name].max(axis=-1) > DARK) for name in names]
    return np.any(bright, axis=0)


def baselines(train: Split, given: np.ndarray, source: str, target: str) -> dict[str, np.ndarray]:
    """What simple methods make of the sources, in [0, 1]; what needs pairs only where there are some."""
    from msflow_jax.evaluation.translation import mean_image, tone_curve

    found = {"identity": given / 255.0}
    rows = has(train, target)
    if rows.any():
        mean = mean_image(train.arrays[target][rows]) / 255
        found["mean image"] = np.broadcast_to(mean, given.shape)
    both = rows & has(train, source)
    if both.any():
        curve = tone_curve(train.arrays[source][both], train.arrays[target][both])
        found["tone curve"] = curve[given]
    return found


def regressed(run: Evaluation, route: tuple[str, str], given: np.ndarray) -> np.ndarray:
    """What the control of a route makes of the sources, in [0, 1]."""
    controls: Controls = run.flow.model.controls

    def function(params: Any, items: jax.Array, index: jax.Array) -> jax.Array:
        return controls.regress(params, route, to_float(items))

    found = batched(function, run.sample.batch)(run.flow.params, given)
    return np.clip((found + 1) / 2, 0, 1)


def reconstructed(run: Evaluation, name: str, images: np.ndarray) -> np.ndarray:
    """What the autoencoder of a modality leaves of its images, in [0, 1]: drawings come no nearer."""
    model = run.flow.model

    def function(params: Any, items: jax.Array, index: jax.Array) -> jax.Array:
        return model.decode(params, name, model.encode(params, name, to_float(items)))

    found = batched(function, run.sample.batch)(run.flow.params, images)
    return np.clip((found + 1) / 2, 0, 1)
