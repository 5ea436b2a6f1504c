"""Names of modalities and routes, and the settings of controls and latents that several families have.

A family includes :func:`control_settings` in its part ``model``, :func:`latent_settings` in
``model.latent``, :func:`control_lengths` in ``model.lengths``, :func:`evaluate_settings` in
``sample.evaluate``, and :data:`TABLE` in its table.
"""

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from msflow_jax.settings import COUNT, Only, Setting

BETWEEN = "-"  # source-target
REPORT = "report"  # name of the modality of text
MAP = "map"  # name of the array of tissues
XRAY = "xray"  # a projection: maps of a head's slices are not of it


def control_settings() -> dict[str, Any]:
    """The defaults of ``regression`` and ``segmenter``: none is trained."""
    return dict(
        # A residual U-Net with an L1 loss that translations are compared with.
        regression=dict(routes=(), width=16),
        # A U-Net from images to their maps of tissues: Dice of translations, lesions lost or added.
        segmenter=dict(modalities=(), width=16),
    )


def control_lengths() -> dict[str, float]:
    """The defaults of the steps of their stages, relative to ``train.steps``."""
    return dict(regress=1.0, segment=0.35)


def latent_settings() -> dict[str, Any]:
    """The defaults of ``latent``: pixels."""
    return dict(
        autoencoder="",
        patch=8,
        channels=16,
        batch=8,
        dtype="float32",
    )


def evaluate_settings() -> dict[str, Any]:
    """The defaults of what an evaluation measures."""
    # Routes source-target; empty: all between volumes' modalities.
    return dict(examples=64, routes=())


def parse_route(text: str, config: ConfigDict) -> tuple[str, str]:
    """A route source-target as a pair.

    Args:
        text: such as ``t1w-ct``.
        config: part ``model`` of a configuration.

    Raises:
        ValueError: it is no pair of two modalities of the model.
    """
    source, _, target = text.partition(BETWEEN)
    if source == target or not {source, target} <= set(config.modalities):
        known = ", ".join(config.modalities)
        raise ValueError(f"{text!r} is no route source-target between two of {known}")
    return source, target


def measured_routes(config: ConfigDict) -> tuple[tuple[str, str], ...]:
    """The routes (source, target) that an evaluation of a configuration measures.

    Raises:
        ValueError: as :func:`parse_route`.
    """
    found = tuple(parse_route(text, config.model) for text in config.sample.evaluate.routes)
    names = [name for name in config.model.modalities if name not in (REPORT, XRAY)]
    return found or tuple((a, b) for a in names for b in names if a != b)


def check_settings(config: ConfigDict) -> None:
    """Refuses routes that there are not, latents of volumes, and segmenters that cannot be trained.

    Raises:
        ValueError: such a one.
    """
    model = config.model
    if model.latent.autoencoder and config.data.dims == 3:
        raise ValueError("data.dims=3 needs a model of pixels: clear model.latent.autoencoder")
    for text in (*model.regression.routes, *config.sample.evaluate.routes):
        if REPORT in parse_route(text, model):
            raise ValueError(
                f"{text!r}: routes of model.regression and sample.evaluate are between images; reports "
                "are measured by themselves"
            )
    mapped = [name for name in model.modalities if name not in (REPORT, XRAY)]
    check_among("segmenter.modalities", model.segmenter.modalities, mapped)


def check_among(
    key: str, names: Sequence[str], among: Sequence[str], otherwise: str = "none"
) -> None:
    """Refuses modalities of a setting that it cannot have.

    Args:
        key: the setting, without ``model``.
        names: its modalities.
        among: those that it can have.
        otherwise: what the message says where there are none of these.

    Raises:
        ValueError: a name is none of them; names those that are.
    """
    for name in names:
        if name not in among:
            known = ", ".join(among) or otherwise
            raise ValueError(f"model.{key}: {name!r} is none of those that can be: {known}")


TABLE: dict[str, Setting] = {
    "model.lengths.regress": Setting("(0, inf)", "steps of a control over train.steps"),
    "model.lengths.segment": Setting("(0, inf)", "steps of a segmenter over train.steps"),
    "model.latent.patch": Setting(COUNT, "patches: side of a patch"),
    "model.latent.channels": Setting(COUNT, "patches: principal components"),
    "model.latent.batch": Setting(COUNT, "images encoded at a time"),
    "model.latent.dtype": Setting("float32 or bfloat16", "what the autoencoders compute in"),
    "model.regression.routes": Setting("", "routes source-target that a U-Net is trained on"),
    "model.regression.width": Setting(COUNT, "channels of its first level"),
    "model.segmenter.modalities": Setting("", "those whose drawings are segmented, by maps of the data"),
    "model.segmenter.width": Setting(COUNT, "channels of its first level"),
    "sample.evaluate.examples": Setting(COUNT, "examples of each route that an evaluation measures"),
    "sample.evaluate.routes": Setting("", "routes source-target that it measures; empty: all"),
}  # fmt: skip

_ITS_LOSS = Only(
    why="of several modalities each stage is judged by its own loss of validation examples"
)
LIMITS = {
    "train.flips": Only(why="registered images are not flipped"),
    "train.select": _ITS_LOSS,
    "train.draws": _ITS_LOSS,
    "model.lengths.regress": Only("model.regression.routes"),
    "model.regression.width": Only("model.regression.routes"),
    "model.lengths.segment": Only("model.segmenter.modalities"),
    "model.segmenter.width": Only("model.segmenter.modalities"),
    "model.latent.": Only("model.latent.autoencoder"),
}


def check_guidance(config: ConfigDict, verb: str, unguided: Sequence[str]) -> None:
    """Refuses guidance of a verb whose condition training never leaves out.

    Raises:
        ValueError: one of the settings ``unguided`` of ``sample.VERB`` is not 1.
    """
    for name in unguided:
        if (weight := config.sample[verb][name]) != 1:
            raise ValueError(
                f"sample.{verb}.{name}={weight:g}, but model.dropout leaves nothing out that it could "
                "be weighed against: set it to 1"
            )
