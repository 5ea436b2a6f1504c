"""What is said of classified images, for every command alike: table, abstention, sets, and warnings."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from msflow_jax.inference.abstain_verbs import cautions, rejected
from msflow_jax.inference.flow import Flow
from msflow_jax.inference.kinds import p_values
from msflow_jax.inference.prediction import Prediction
from msflow_jax.inference.sets import describe_sets, random_parts, sets_of
from msflow_jax.inference.tables import prediction_rows, with_sets


def tabulate(
    flow: Flow,
    out: Prediction,
    read: Any,
    *,
    keep: float,
    measure: str,
    outside: float,
    sets: Mapping[str, Any] | None = None,
    requested: Mapping[str, Any] | None = None,
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray] | None, list[str]]:
    """The table of predictions.

    Args:
        flow: opened workdir.
        out: predictions of the images; there may be fewer than were read.
        read: what was read, see :class:`msflow_jax.data.sources.images.Sound`.
        keep: fraction of the validation split that would be kept; the rest abstains.
        measure: uncertainty that decides.
        outside: p-value up to which an image is of another kind, and abstained from; 0: never.
        sets: ``coverage``, ``score``, ``by_class`` of conformal sets, see :func:`sets_of`; empty: none.
        requested: settings that the images were classified with, where they are not the evaluation's.

    Returns:
        Rows of :func:`prediction_rows`, with the sets; which are abstained from, see
        ``Flow.rejections``; and lines of what a reader has to know.
    """
    known, sample = flow.calibration, flow.config.sample
    rejections = rejected(known, out, keep, measure, outside)
    lines = [f"warning: {line}" for line in cautions(flow, out, outside, requested or {}, "--")]
    given = read.names, rejections, str(known)
    rows = prediction_rows(out, *given, outside=p_values(out, known.outside))
    if sets:
        uniform = random_parts(read.images, sample.seed, sample.batch)
        found = sets_of(out, uniform, known.conformal, **sets)
        rows = with_sets(rows, found, flow.classes)
        lines.extend(describe_sets(found, sets["coverage"]))
    return rows, rejections, lines
