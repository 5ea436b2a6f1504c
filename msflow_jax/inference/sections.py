"""The sections of an evaluation that any family may name."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from msflow_jax.inference.calibration import COVERAGE
from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.inference.sets import COVERAGE as SETS
from msflow_jax.inference.sets import SCORE, counted, held, random_parts, sets_of
from msflow_jax.inference.windows import crops

SHOWN_SAMPLES, SHOWN_CASES = 10, 8  # how many of each the report shows
SHOWN_VOLUMES = 4  # of each class: they are kept whole
SHOWN_MAPS = 8  # segmented images, from the one with fewest wrong pixels to the one with most


@dataclass(frozen=True)
class Classification:
    """Metrics of the predictions; the most and the least confident images."""

    name: str = "classification"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        from msflow_jax.evaluation.classification import (
            LIKELIHOOD_CONVENTIONS,
            evaluate_classifier,
        )
        from msflow_jax.evaluation.curves import one_vs_rest_curves

        prediction, split = run.prediction, run.labelled(run.split)
        uncertainty = prediction.uncertainty
        block = evaluate_classifier(
            split.labels, prediction.distances, prediction.probabilities, uncertainty, run.classes,
            conventions=None if prediction.log_prob is None else LIKELIHOOD_CONVENTIONS,
            groups=split.groups, ordered=run.flow.info.ordered,
            opposite=getattr(run.flow.model, "opposite_draws", False), weights=run.weights(run.split),
        )  # fmt: skip
        block |= {"abstention": _abstention(run), "subgroups": _subgroups(run)}
        block["nfe"] = float(prediction.nfe.mean())
        mode = (prediction.mode == split.labels).mean(axis=1)
        block["accuracy_mode_rule"] = float(mode.mean())
        order = np.argsort(uncertainty["distance"], kind="stable")
        arrays = one_vs_rest_curves(split.labels, prediction.probability)
        for name, index in (
            ("certain", order[:SHOWN_CASES]),
            ("uncertain", order[::-1][:SHOWN_CASES]),
        ):
            arrays[f"{name}_images"] = split.images[index]
            arrays[f"{name}_labels"] = split.labels[index]
            arrays[f"{name}_predictions"] = prediction.prediction[index]
            arrays[f"{name}_uncertainty"] = uncertainty["distance"][index]
            arrays[f"{name}_names"] = np.array([split.names[i] for i in index], np.str_)
        return block, arrays


def _abstention(run: Evaluation) -> Block:
    """What the thresholds of each uncertainty keep of every true class."""
    from msflow_jax.evaluation.selective import kept_by_class

    found, labels, measures = run.prediction, run.labelled(run.split).labels, {}
    for name, values in found.uncertainty.items():
        threshold = run.calibration.threshold(name, COVERAGE)
        if threshold is not None:
            measures[name] = kept_by_class(labels, found.prediction, values, threshold, run.classes)
    return {"coverage": COVERAGE, "measures": measures}


def _subgroups(run: Evaluation) -> Block:
    """Scores of the images of each value of the requested columns."""
    from msflow_jax.evaluation.subgroups import by_subgroup

    found, split, ordered = run.prediction, run.labelled(run.split), run.flow.info.ordered
    given = split.labels, found.prediction, found.probability
    return {
        name: by_subgroup(
            *given, run.column(name).tolist(), column=name, groups=split.groups, ordered=ordered
        )
        for name in run.by
    }


@dataclass(frozen=True)
class Scaled:
    """Calibration before and after the scaling that was fitted on the validation split."""

    name: str = "calibration"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        from msflow_jax.evaluation.scaled import evaluate_scaling, notes_on
        from msflow_jax.evaluation.scaling import NONE, log_softmax, pooled

        scaling, val = run.calibration.scaling, run.raw("val")
        before, after = run.raw(run.split), run.prediction
        notes = []
        if run.method != NONE:
            logs, labels = val.log_probabilities, run.labelled("val").labels
            ratios, weights = val.log_prob is not None, run.weights("val")
            notes = notes_on(labels, logs, scaling.temperature, ratios, weights)
        first, last = (pooled(log_softmax(one.log_probabilities)) for one in (before, after))
        given = run.labelled(run.split).labels, first, last, scaling, notes
        return {"method": run.method, **evaluate_scaling(*given, run.weights(run.split))}, {}


@dataclass(frozen=True)
class Abstention:
    """The thresholds of uncertainty by the fraction of the validation split that is kept."""

    name: str = "abstain"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        return dict(run.calibration.thresholds), {}


@dataclass(frozen=True)
class Sets:
    """How often sets hold the true class, and how large they are, by each score."""

    name: str = "sets"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        from msflow_jax.evaluation.conformal import METHODS, evaluate_sets

        split, kept = run.labelled(run.split), run.calibration.conformal
        measured = np.arange(len(split.labels))
        if run.split == "val":  # never on the cases themselves
            rest = held(run)
            measured = np.flatnonzero(~rest) if rest.any() else measured[:0]
        block: Block = {"coverage": SETS, "measured": len(measured), "chose": kept["chose"]}
        block["subjects"] = subjects = counted(split.groups, measured)
        if not len(measured):
            return block, {}
        rows, uniform = [], random_parts(split.images, run.sample.seed, run.sample.batch)
        independent = counted(run.labelled("val").groups, held(run))
        for score in METHODS:
            for by_class in (False, True):
                found = sets_of(run.prediction, uniform, kept, score=score, by_class=by_class)
                # By class there is no one law of the coverage: every class has its own threshold.
                cases = 0 if by_class else independent or found.cases
                given = split.labels[measured], found.chosen[measured], run.classes, SETS
                made = evaluate_sets(*given, cases, subjects)
                rows.append({"score": score, "by_class": by_class, "few": list(found.few), **made})
        counts = [len(one) for one in kept["scores"][SCORE]]
        return {**block, "cases": counts, "rows": rows}, {}


@dataclass(frozen=True)
class Segmentation:
    """Overlap and borders of the predicted and the true maps, and what uncertainty says of errors."""

    name: str = "segmentation"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        from msflow_jax.data.padding import inside_of
        from msflow_jax.data.pixel_sizes import sizes_of, unsized_of
        from msflow_jax.evaluation.pixel_uncertainty import evaluate_uncertainty
        from msflow_jax.evaluation.segmentation import evaluate_images

        split, words = run.chosen, f"segmenting the {run.split} split"
        maps, uncertainty = run.flow.segment_uncertainly(split.images, description=words)
        sizes, wrong = sizes_of(split, run.flow.info), maps != split.maps
        block = evaluate_images(split.maps, maps, run.classes, sizes=sizes, groups=split.groups)
        if (unsized := unsized_of(split)) is not None:
            block["unsized"] = unsized
        inside = inside_of(split)  # padding is right and certain, and would count as a success
        block["uncertainty"] = evaluate_uncertainty(
            wrong, uncertainty, inside=inside, groups=split.groups
        )
        axes = tuple(range(1, wrong.ndim))
        order = np.argsort(
            wrong.mean(axis=axes, where=True if inside is None else inside), kind="stable"
        )
        shown = order[_spread(len(order), SHOWN_MAPS)]
        padded = {} if inside is None else {"segmented_inside": inside[shown]}
        return block, {
            **padded,
            "segmented_images": split.images[shown],
            "segmented_truth": split.maps[shown],
            "segmented_maps": maps[shown],
            "segmented_uncertainty": np.rint(255 * uncertainty[shown]).astype(np.uint8),
            "segmented_names": np.array([split.names[i] for i in shown], np.str_),
        }


def _spread(count: int, most: int) -> np.ndarray:
    """At most so many places of a row, from its first to its last, evenly."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


@dataclass(frozen=True)
class Generation:
    """Images of every class, and how they compare with the split's and the training images."""

    name: str = "generation"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        from msflow_jax.evaluation.generation import evaluate_generation
        from msflow_jax.evaluation.supplied import load_features

        images, labels = run.samples
        train, chosen, classes = run.splits.train, run.chosen, range(len(run.classes))
        seen = partial(crops, run.flow.model, seed=run.sample.seed)  # no more than is drawn
        train_images = seen(train.images)
        block = evaluate_generation(
            images,
            labels,
            (train_images, train.labels),
            (seen(chosen.images), chosen.labels),
            run.classes,
            seed=run.sample.seed,
            flips=run.flips,
            features=load_features(run.features) if run.features else None,
            classifier=run.features_of("image", train_images, train.labels),
        )

        block["step"] = run.flow.drawing_step

        most = SHOWN_SAMPLES if images.ndim == 4 else SHOWN_VOLUMES

        def first(of: np.ndarray) -> np.ndarray:
            return np.concatenate([np.flatnonzero(of == k)[:most] for k in classes])

        shown, real = first(labels), first(train.labels)
        nearest = block["memorisation"]["nearest"]
        return (
            block,
            {
                "samples": images[shown],
                "sample_labels": labels[shown],
                "real": train_images[real],
                "real_labels": train.labels[real],
                "nearest_generated": images[nearest["generated_index"]][:SHOWN_CASES],
                "nearest_names": np.array(
                    [train.names[i] for i in nearest["training_index"][:SHOWN_CASES]], np.str_
                ),
                "nearest_training": train_images[nearest["training_index"]][:SHOWN_CASES],
            },
        )
