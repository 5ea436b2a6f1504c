"""The sections of an evaluation that a symmetric flow alone has: paths and likelihoods."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.data import some, some_rows
from msflow_jax.data.batches import to_float, to_uint8
from msflow_jax.evaluation.likelihood import bits_per_dimension, evaluate_likelihood
from msflow_jax.evaluation.outside import stand_ins
from msflow_jax.families import choose_settings
from msflow_jax.inference.evaluation import Arrays, Block, Evaluation
from msflow_jax.inference.windows import crops
from msflow_jax.latent.codec import KEY
from msflow_jax.parallel.batched import batched
from msflow_jax.streams import content_index
from msflow_jax.symmetric.paths import to_image, to_label
from msflow_jax.symmetric.readout import make_reader, to_pictures

_TIMES = 9  # that are kept of a path
_STEPS = {"generate": 25, "classify": 24}  # of Euler's method, whatever is configured


@dataclass(frozen=True)
class Likelihood:
    """Bits per dimension of a few images of each kind, and the class that likelihoods tell.

    Attributes:
        images: how many of each kind; the equation takes tens of evaluations for each class.
    """

    images: int
    name: str = "likelihood"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        flow, sample = run.flow, run.sample
        model, seed = flow.model, sample.seed
        given = choose_settings(model, self.name, sample.likelihood.to_dict())
        given["prior"] = _prior(flow, sample.classify.prior)

        def function(params: Any, images: jax.Array, index: jax.Array) -> Any:
            out = model.likelihood(params, to_float(images), jax.random.key(seed), **given)
            return out.distances.mean(axis=0), out.log_prob.mean(axis=0)

        runner = batched(function, min(sample.batch, self.images))
        split, train = run.labelled(run.split), some(run.splits.train, self.images, seed)
        rows = some_rows(len(split.labels), self.images, seed)
        labels, images = split.labels[rows], split.images[rows]
        outside = {k: x[some_rows(len(x), self.images, seed)] for k, x in run.outside.items()}
        others = {**stand_ins(images, seed), **outside}
        sets = {"train": train.images, run.split: images, **others}
        read = {
            name: runner(flow.params, images_of_set, f"likelihood of {name}")
            for name, images_of_set in sets.items()
        }
        dimensions = math.prod(model.codec.inner)
        bits = {k: np.asarray(bits_per_dimension(log, dimensions)) for k, (_, log) in read.items()}
        found = evaluate_likelihood(bits, run.split, "train", tuple(others))
        right = read[run.split][0].argmin(axis=1) == labels
        readout = run.prediction.prediction[rows] == labels
        bayes = {
            "images": len(rows), "accuracy": float(right.mean()), "readout": float(readout.mean()),
            "prior": list(given["prior"]),
        }  # fmt: skip
        arrays: Arrays = {
            f"bits_{i}": one.astype(np.float32) for i, one in enumerate(bits.values())
        }
        return {**found, "dimensions": dimensions, "bayes": bayes}, arrays


def _prior(flow: Any, name: str) -> tuple[float, ...]:
    """Probability of each class: as in training, or as is configured; empty, all alike, if unknown."""
    info = flow.info
    if flow.config.train.balanced:  # as many of each, so that either prior is even
        return (1 / len(info.classes),) * len(info.classes)
    if min(info.counts, default=0) < 1:
        return ()
    share = np.array(info.counts) / sum(info.counts) * (info.class_weights(name) or 1)
    return tuple((share / share.sum()).tolist())


@dataclass(frozen=True)
class Paths:
    """One generation and one classification as film strips.

    Both are one draw of a fixed number of Euler steps, without prior and without guidance beyond what
    the field has learned: where the classification ends is kept beside what the model predicts of that
    image.
    """

    name: str = "paths"

    def __call__(self, run: Evaluation) -> tuple[Block, Arrays]:
        """See :class:`msflow_jax.families.Section`."""
        model, params, drawing = run.flow.model, run.flow.params, run.flow.drawing_params
        key = jax.random.key(run.sample.seed)
        label = len(model.classes) - 1

        def generate(params: Any, labels: jax.Array) -> Any:
            out = to_image(model, params, labels, key, steps=_STEPS["generate"], grid=_TIMES)
            return out.grid, out.states

        def classify(params: Any, images: jax.Array) -> Any:
            floats = to_float(images)
            inner = model.codec.encode(params.get(KEY), floats)
            index = content_index(floats)
            steps = _STEPS["classify"]
            out = to_label(model, params, inner, index, key, steps=steps, grid=_TIMES)
            return out.grid, out.states

        generated = jax.jit(generate)(drawing, np.array([label]))
        seen = crops(model, run.chosen.images[:1], run.sample.seed)
        classified = jax.jit(classify)(params, jnp.asarray(seen))
        arrays: Arrays = {
            "classify_true": run.chosen.labels[0],
            "generate_class": np.array(label),
        }
        for name, (u, states) in (("generate", generated), ("classify", classified)):
            arrays[f"{name}_u"] = np.asarray(u)
            shown = to_pictures(model, params, {k: v[:, 0] for k, v in states.items()})
            arrays[f"{name}_image"], arrays[f"{name}_label"] = map(to_uint8, shown)
        end = make_reader(model, params)(classified[1]["label"][-1], None)[0][0].argmin()
        arrays["classify_end"] = np.asarray(end)
        arrays["classify_predicted"] = np.asarray(run.prediction.prediction[0])
        return {"times": _TIMES, "steps": _STEPS, "draws": len(run.prediction.distances)}, arrays
