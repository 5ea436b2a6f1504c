"""What a choice of the user's changes in the rest of a recipe, and which choices undo each other."""

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


def check_sharding(config: ConfigDict) -> None:
    """Warns of a mesh and a sharding of the whole configuration of a run that do not go together."""
    model, tensor = config.train.mesh.model, config.train.sharding == "tensor"
    if model != 1 and not tensor:
        warnings.warn(
            f"train.mesh.model={model} with train.sharding={config.train.sharding}: devices along it "
            "repeat the same work: set train.sharding=tensor, which splits large matrices over them, or "
            "train.mesh.model=1",
            stacklevel=2,
        )
    if model == 1 and tensor:
        warnings.warn(
            "train.sharding=tensor with train.mesh.model=1 splits nothing: set train.mesh.model=2, or "
            "more, or train.sharding=replicated",
            stacklevel=2,
        )


def check_prior(config: ConfigDict) -> None:
    """Warns of biases of the classes that undo equal frequencies, which a model was trained for.

    They are fitted to the frequencies of the validation split, and so bring them back.

    Args:
        config: the whole configuration of a run.

    Raises:
        ValueError: equal frequencies are asked for.
    """
    classify = config.sample.get("classify", {})
    if classify.get("calibration") != "vector":
        return
    back = (
        "sample.classify.calibration=vector brings back the class frequencies of the validation split, "
        "which {} evens: calibration=temperature leaves them"
    )
    if classify.prior == "uniform":
        raise ValueError(back.format("sample.classify.prior=uniform (--prior)"))
    if config.train.balanced:
        warnings.warn(back.format("train.balanced=True"), stacklevel=2)
