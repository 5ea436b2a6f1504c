"""The values and the meaning of every setting of symmetric flows, and which need each other."""

from ml_collections import ConfigDict

from msflow_jax.inference.settings import TABLE as CLASSIFYING
from msflow_jax.nets.networks import TABLE as NETWORKS
from msflow_jax.settings import COUNT, Only, Setting
from msflow_jax.training.distillation import LIMITS as DISTILLED
from msflow_jax.training.distillation import TABLE as DISTILLATION
from msflow_jax.training.distillation import guided

_CLASSES = Only("model.task", ("classify",))
LIMITS: dict[str, Only | tuple[Only, ...]] = {
    **DISTILLED,
    "model.latent.": Only("model.latent.autoencoder"),
    "model.latent.patch": Only("model.latent.autoencoder", ("patches",)),
    "model.latent.channels": Only("model.latent.autoencoder", ("patches",)),
    "model.latent.pictures": Only("model.code.scheme", ("encoded", "pooled")),
    "model.code.pooling": _CLASSES,
    "sample.classify.calibration": _CLASSES,
    "train.calibrate_every": _CLASSES,
    "sample.generate.": _CLASSES,
    "sample.generate.guidance": (_CLASSES, Only("model.code_dropout")),
    "model.time.loc": Only("model.time.name", ("logit_normal",)),
    "model.time.scale": Only("model.time.name", ("logit_normal",)),
    "model.time.classification_weight": Only("model.time.classification_fraction"),
}
TABLE: dict[str, Setting] = {
    "model.family": Setting("", "kind of flow"),
    "model.task": Setting("classify or segment", "a class for each image, or for each pixel"),
    "model.code.scheme": Setting("", "classes' colours: palette, grey, simplex, encoded or pooled"),
    "model.code.beta": Setting(
        "(0, inf)", "grey levels that the noise of label pictures spans; grey: span of its codes"
    ),
    "model.code.pooling": Setting("", "how a label picture is read; empty: as the scheme does"),
    "model.latent.autoencoder": Setting("", "folder of msflow convert-vae, or patches; empty: pixels"),
    "model.latent.readout": Setting("", "latent, or decode as published"),
    "model.latent.pictures": Setting(COUNT, "label pictures of each class that are encoded once"),
    "model.latent.patch": Setting(COUNT, "patches: side of a patch"),
    "model.latent.channels": Setting(COUNT, "patches: principal components"),
    "model.latent.precondition": Setting("", "divide each channel of the latents by its spread"),
    "model.latent.cache": Setting("", "where latents are kept; empty: in the user's cache folder"),
    "model.latent.batch": Setting(COUNT, "images encoded at a time"),
    "model.latent.dtype": Setting("float32 or bfloat16", "what the autoencoder computes in"),
    "model.resize": Setting("[0, 16384]", "side inside the network; 0: as the images are"),
    "model.image_weight": Setting("[0, 1]", "weight of the image in the loss; the label has the rest"),
    "model.sigma_min": Setting("[0, 1)", "share of the noise that is left at the end"),
    "model.time.name": Setting("", "distribution of the training times: uniform or logit_normal"),
    "model.time.loc": Setting("(-inf, inf)", "logit_normal: its mean"),
    "model.time.scale": Setting("[0, inf)", "logit_normal: its spread"),
    "model.time.classification_fraction": Setting("[0, 1]", "share of a batch that only classifies"),
    "model.time.classification_weight": Setting("[0, inf)", "weight of the label's error there"),
    "model.code_dropout": Setting("[0, 1)", "share of the images trained without a class, for guidance"),
    "sample.classify.solver": Setting("", "solver of the label's equation"),
    "sample.classify.steps": Setting(COUNT, "its steps"),
    "sample.classify.draws": Setting(COUNT, "noise draws that are pooled"),
    **CLASSIFYING,
    "sample.likelihood.images": Setting("[0, 100000]", "images of each kind to tell that of; 0: none"),
    "sample.likelihood.solver": Setting("", "solver of the image's equation, backwards"),
    "sample.likelihood.steps": Setting(COUNT, "its steps"),
    "sample.likelihood.probes": Setting("[0, 64]", "random directions of the divergence; 0: exact"),
    "sample.generate.solver": Setting("", "solver of the image's equation"),
    "sample.generate.steps": Setting(COUNT, "its steps"),
    "sample.generate.guidance": Setting("[0, inf)", "weight of the class; 1: none beyond the model's"),
    "sample.generate.per_class": Setting(
        "[0, inf)", "images of each class that an evaluation draws; 0: none"
    ),
    **NETWORKS,
    **DISTILLATION,
}  # fmt: skip


NO_DENSITY = (
    "a flow that was distilled with guidance (model.distillation.guidance) carries no density: no "
    "likelihood; the model that it was distilled from has one"
)


def check_likelihood_settings(config: ConfigDict) -> None:
    """Raises a ValueError where likelihoods are asked of a flow that carries no images as they are."""
    model = config.model
    if config.sample.likelihood.images and guided(model.distillation):
        raise ValueError(NO_DENSITY)
    needs = {
        "model.task": (model.task, "classify"), "model.resize": (model.resize, 0),
        "model.latent.autoencoder": (model.latent.autoencoder, ""),
        "train.crop": (config.train.crop, 0),
    }  # fmt: skip
    for key, (value, needed) in needs.items():
        if config.sample.likelihood.images and value != needed:
            raise ValueError(
                "a likelihood (sample.likelihood.images, --likelihood) is of images as they are, by "
                f"class: it needs {key}={needed!r}, got {value!r}"
            )
