"""What a stage's checkpoints are chosen by: its own loss on validation examples."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.batches import to_loss
from msflow_jax.training.source import Source
from msflow_jax.training.validation import Validation

MEASURED = 256  # validation examples at most
SELECT = "-val_loss"


def loss_validation(
    objective: Callable[..., Any], source: Source | Mapping[str, Source], train: ConfigDict
) -> Validation:
    """The stage's loss of validation examples, with the same noise every time.

    Args:
        objective: ``(params, batch, key, *, train) -> (loss, metrics)``.
        source: validation examples; or several sets by name, of which a batch is then a dict.
        train: settings of the stage: its batch and its seed.

    Returns:
        ``val_loss``, by which checkpoints are chosen, and the ``val_`` means of all metrics.
    """

    @jax.jit
    def measure_one(params: Any, batch: Any, key: jax.Array) -> Any:
        loss, metrics = objective(params, batch, key, train=False)
        return {"loss": loss, **metrics}

    def batches(one: Source) -> Iterator[Any]:
        size = min(train.batch, len(one), MEASURED)
        for at in range(0, min(len(one), MEASURED) - size + 1, size):
            rows = {name: array[at : at + size] for name, array in one.arrays.items()}
            # Of latents the one variant there is: nothing is mirrored.
            rows = {n: a[:, 0] if one.modalities[n].variants else a for n, a in rows.items()}
            has = {name: there[at : at + size] for name, there in one.present.items()}
            yield to_loss(jax.device_put(rows), one.modalities, jax.device_put(has))

    def measure(params: Any) -> dict[str, float]:
        key = jax.random.key(train.seed + 1)
        if isinstance(source, Source):
            given = list(batches(source))
        else:
            given = [
                dict(zip(source, b, strict=True))
                for b in zip(*map(batches, source.values()), strict=False)
            ]
        found = [
            measure_one(params, batch, jax.random.fold_in(key, i)) for i, batch in enumerate(given)
        ]
        return {f"val_{name}": float(np.mean([one[name] for one in found])) for name in found[0]}

    return Validation(measure, (SELECT,))
