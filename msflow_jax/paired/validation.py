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


def spread(examples: int, size: int, count: int) -> np.ndarray:
    """Rows of ``count`` batches, ``[count, size]``: each over all examples, which may be sorted.

    At most ``MEASURED`` examples are in them; every one of these is, and what is left of the last batch
    is filled with the first ones again.
    """
    chosen = np.linspace(0, examples - 1, min(examples, MEASURED)).astype(int)
    dealt = np.arange(count)[:, None] + count * np.arange(size)
    return chosen[dealt % len(chosen)]


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

    def batches(one: Source, count: int) -> Iterator[Any]:
        size = min(train.batch, len(one), MEASURED)
        for index in spread(len(one), size, count):
            rows = {name: array[index] for name, array in one.arrays.items()}
            # Of latents the one variant there is: nothing is mirrored.
            rows = {n: a[:, 0] if one.modalities[n].variants else a for n, a in rows.items()}
            has = {name: there[index] for name, there in one.present.items()}
            yield to_loss(jax.device_put(rows), one.modalities, jax.device_put(has))

    def measure(params: Any) -> dict[str, float]:
        key = jax.random.key(train.seed + 1)
        sets = {"": source} if isinstance(source, Source) else source
        # As many batches of each set: of a smaller one some examples are in two.
        most = max(len(one) for one in sets.values())
        count = -(-min(most, MEASURED) // min(train.batch, most, MEASURED))
        every = [
            dict(zip(sets, b, strict=True))
            for b in zip(*(batches(one, count) for one in sets.values()), strict=True)
        ]
        given = [one[""] for one in every] if isinstance(source, Source) else every
        found = [
            measure_one(params, batch, jax.random.fold_in(key, i)) for i, batch in enumerate(given)
        ]
        means = {name: np.asarray([one[name] for one in found]) for name in found[0]}
        # What has no mean in some batches is averaged over the others; a loss always has one.
        kept = {n: x if n == "loss" else x[~np.isnan(x)] for n, x in means.items()}
        return {f"val_{name}": float(values.mean()) for name, values in kept.items() if values.size}

    return Validation(measure, (SELECT,))
