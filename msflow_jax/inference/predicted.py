"""The table of what was classified, with p-values and conformal sets, for every command alike."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from msflow_jax.inference.flow import Flow
from msflow_jax.inference.kinds import p_values
from msflow_jax.inference.prediction import Prediction
from msflow_jax.inference.sets import Found, random_parts, sets_of
from msflow_jax.inference.tables import prediction_rows, with_sets


def predicted_rows(
    flow: Flow,
    out: Prediction,
    read: Any,
    abstains: np.ndarray | None,
    sets: Mapping[str, Any] | None,
) -> tuple[list[dict[str, Any]], Found | None]:
    """Rows of :func:`prediction_rows`, with conformal sets where they are wanted.

    Args:
        flow: opened workdir.
        out: predictions of the images; there may be fewer than were read.
        read: what was read, see :class:`msflow_jax.data.sources.images.Sound`.
        abstains: whether an image is too uncertain, ``[N]``; None where no threshold is known.
        sets: ``coverage``, ``score``, ``by_class`` of the sets, see :func:`sets_of`; empty for none.

    Returns:
        The rows, and the sets, or None.
    """
    known, sample = flow.calibration, flow.config.sample
    given = read.names, abstains, str(known)
    rows = prediction_rows(out, *given, outside=p_values(out, known.outside))
    if not sets:
        return rows, None
    uniform = random_parts(read.images, sample.seed, sample.batch)
    found = sets_of(out, uniform, known.conformal, **sets)
    return with_sets(rows, found, flow.classes), found
