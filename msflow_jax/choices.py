"""What a choice of the user's changes in the rest of a recipe."""

import warnings
from collections.abc import Collection

from ml_collections import ConfigDict

from msflow_jax import data


def follow(config: ConfigDict, given: Collection[str]) -> None:
    """Lets what was chosen overrule what a recipe says of the same thing; changes ``config``.

    A set of MedMNIST brings its ``data.dims``, and ``train.epochs`` alone takes the place of a recipe's
    steps. A ``data.side`` above the side that a recipe works at inside is named in a warning.

    Args:
        config: a whole configuration.
        given: dotted keys that the user has chosen, which stay.
    """
    if "data.dims" not in given:
        config.data.dims = data.dims_of(config.data.name, otherwise=config.data.dims)
    if "train.epochs" in given and "train.steps" not in given and config.train.epochs:
        config.train.steps = 0
    inside = config.model.get("resize", 0)
    if "data.side" in given and "model.resize" not in given and 0 < inside < config.data.side:
        warnings.warn(
            f"data.side={config.data.side}, but the model works at {inside} inside, as this "
            "configuration says: what is finer is lost; --config.model.resize=0 for none",
            stacklevel=3,
        )
