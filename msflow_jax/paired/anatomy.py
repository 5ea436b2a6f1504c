"""Task figures of translations: what a fixed segmenter of real images finds in them."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.data import Split
from msflow_jax.inference.evaluation import Block, Evaluation
from msflow_jax.paired.controls import Controls
from msflow_jax.paired.settings import MAP
from msflow_jax.parallel.batched import Runner, batched


def is_trained(run: Evaluation, part: str, name: str) -> bool:
    """Whether a control is there: not before its stage."""
    return name in run.flow.params.get(part, {})


def make_segmenter(run: Evaluation, name: str) -> Runner | None:
    """``runner(params, images float [N, *shape] in [0, 1]) -> classes`` uint8; None if there is none."""
    if not is_trained(run, "segmenter", name) or MAP not in run.chosen.arrays:
        return None
    return segmenter(run.flow.model.controls, name, run.sample.batch)


def segmenter(controls: Controls, name: str, batch: int) -> Runner:
    """``runner(params, images [N, *shape] in [0, 1]) -> classes`` uint8, of one modality."""

    def function(params: Any, items: jax.Array, index: jax.Array) -> jax.Array:
        return controls.segment(params, name, 2 * items - 1).argmax(axis=-1).astype(jnp.uint8)

    return batched(function, batch)


def anatomy(
    run: Evaluation, segment: Callable[..., Any], chosen: Split, images: Mapping[str, np.ndarray]
) -> Block:
    """Dice of tissues, and lesions found, lost and added, of several versions of the same images.

    Args:
        run: the evaluation.
        segment: of :func:`make_segmenter`.
        chosen: examples with their maps.
        images: versions in [0, 1] ``[N, *shape]`` by name.
    """
    from msflow_jax.evaluation.lesions import LESION, lesion_scores, overlap

    # One call for all: it is compiled once.
    joined = np.concatenate([np.asarray(one, np.float32) for one in images.values()])
    found = np.split(segment(run.flow.params, joined), len(images))
    truth, tissues = chosen.arrays[MAP], run.flow.model.controls.tissues
    given: dict[str, Any] = {"groups": chosen.groups}
    rows: dict[str, Block] = {}
    for name, predicted in zip(images, found, strict=True):
        rows[name] = {"dice": overlap(truth, predicted, tissues, **given)}
        if LESION in tissues:
            k = tissues.index(LESION)
            rows[name]["lesions"] = lesion_scores(truth == k, predicted == k, **given)
    return {"rows": rows}
