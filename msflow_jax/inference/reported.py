"""Reports that were drawn, as rows of a table: text, agreement of the draws, and what it states."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.data.phantoms.reports import stated
from msflow_jax.evaluation.texts import agreement


def rows_of(
    names: Sequence[str], route: str, texts: Sequence[Sequence[str]], logs: np.ndarray
) -> list[dict[str, Any]]:
    """A row for each image.

    Args:
        names: name of each image.
        route: whether image and report were trained together, in a word.
        texts: K lists of N reports.
        logs: mean log-probability of a token of each, ``[K, N]``.

    Returns:
        ``name``, ``route``, ``report`` of the first draw, ``agreement`` of all draws in [0, 1] (None of
        one, and where none states a fact), the ``log_probability`` of a token, and the facts that the
        text states as ``fact_NAME``.
    """
    facts = [[stated(text) for text in one] for one in texts]
    sure = agreement(facts)
    fields = sorted({f"fact_{key}" for row in facts[0] for key in row})
    rows = []
    for i, name in enumerate(names):
        said = {f"fact_{key}": value for key, value in facts[0][i].items()}
        rows.append({
            "name": name, "route": route, "report": texts[0][i],
            "agreement": None if np.isnan(sure[i]) else float(sure[i]),
            "log_probability": float(logs[0, i]), **{key: said.get(key, "") for key in fields},
        })  # fmt: skip
    return rows
