"""The sections of an evaluation that a likelihood makes possible."""

from dataclasses import dataclass

import jax
import numpy as np

from msflow_jax.data import some
from msflow_jax.evaluation.likelihood import evaluate_likelihood
from msflow_jax.inference.evaluation import REFERENCE, Arrays, Block, Evaluation
from msflow_jax.inference.runners import to_images
from msflow_jax.inference.sections import SHOWN_CASES
from msflow_jax.parallel.batched import batched

# Training images as reference, the temperatures of the samples shown, and how many of each class.
_REFERENCE, _TEMPERATURES, _SHOWN_PER_CLASS = 1000, (0.5, 0.7, 0.85, 1.0), 4


@dataclass(frozen=True)
class Likelihood:
    """Bits per dimension of log p(x): training images, the split, and images from outside."""

    name: str = "likelihood"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        few = some(run.splits.train, _REFERENCE, run.sample.seed)
        read = {"train": run.raw(REFERENCE, few.images)}
        if run.split != "train":
            read[run.split] = run.raw(run.split)
        read |= {name: run.raw(name, images) for name, images in run.outside.items()}
        bits = {name: np.asarray(one.bits_per_dimension) for name, one in read.items()}
        found = evaluate_likelihood(
            bits, inside=run.split, reference="train", outside=tuple(run.outside)
        )
        arrays = {f"bits_{i}": one.astype(np.float32) for i, one in enumerate(bits.values())}
        return {**found, "dimensions": run.flow.model.dimensions}, arrays


@dataclass(frozen=True)
class Explanations:
    """Maps of a few images, of every class in turn: prediction, and prediction against second class."""

    name: str = "explanation"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        split = run.chosen
        rank = [np.flatnonzero(split.labels == k) for k in range(len(run.classes))]
        turns = [members[i] for i in range(SHOWN_CASES) for members in rank if i < len(members)]
        chosen = np.array(turns[:SHOWN_CASES])
        # Of the first draw, which the maps are of.
        order = np.asarray(run.prediction.distances)[0, chosen].argsort(axis=1)
        found = run.flow.explain(split.images[chosen], order[:, 0], order[:, 1])
        space = tuple(range(1, found.map.ndim))
        return {"images": len(chosen)}, {
            "explain_images": split.images[chosen],
            "explain_labels": split.labels[chosen],
            "explain_names": np.array([split.names[i] for i in chosen], np.str_),
            "explain_predictions": order[:, 0],
            "explain_against": order[:, 1],
            "explain_map": found.map,
            "explain_contrast": found.log_ratio,
            "explain_log_prob": found.map.sum(axis=space, dtype=np.float64),
            "explain_ratio": found.log_ratio.sum(axis=space, dtype=np.float64),
        }


@dataclass(frozen=True)
class Temperatures:
    """Samples of every class at several temperatures, from the same noise."""

    name: str = "temperatures"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        model, sample = run.flow.model, run.sample
        shape = (len(_TEMPERATURES), len(model.classes), _SHOWN_PER_CLASS)
        which, label, each = (a.ravel().astype(np.int32) for a in np.indices(shape))
        items = {
            "labels": label,
            "index": label * _SHOWN_PER_CLASS + each,
            "temperature": np.array(_TEMPERATURES, np.float32)[which],
        }

        def function(params, items, index):
            return model.generate(params, **items, key=jax.random.key(sample.seed))

        images = to_images(batched(function, sample.batch)(run.flow.drawing_params, items))
        return {"values": list(_TEMPERATURES)}, {
            "temperature_values": np.array(_TEMPERATURES),
            "temperature_samples": images.reshape(*shape, *images.shape[1:]),
        }
