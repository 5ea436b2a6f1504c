"""A family that only the tests know: brightness features, then a linear head on them, frozen.

It trains in two stages, classifies, evaluates and reports through the commands, and no other file of the
library knows of it: the proof that a family is a package and a word in ``FAMILIES``.
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.inference import sections
from msflow_jax.inference.prediction import Prediction, class_numbers
from msflow_jax.inference.validation import make_validation
from msflow_jax.training import Stage
from msflow_jax.training.source import source_of
from msflow_jax.training.validation import Validation


@dataclass(frozen=True)
class ToyModel:
    """Mean brightness, scaled and shifted, to the logits of the classes."""

    classes: tuple[str, ...]
    shape: tuple[int, ...]

    def init(self, key):
        return {**self.start_features(key), **self.start_head(key)}

    def start_features(self, key):
        return {"features": {"scale": jnp.ones(()), "shift": jax.random.normal(key, ())}}

    def start_head(self, key):
        return {
            "head": {"kernel": jnp.zeros(len(self.classes)), "bias": jnp.zeros(len(self.classes))}
        }

    def features(self, params, images):
        own = params["features"]
        return own["scale"] * (images.mean(axis=(1, 2, 3)) - own["shift"])

    def features_loss(self, params, batch, key, *, train):
        """The features shall have mean 0 and variance 1."""
        h = self.features(params, batch["image"])
        loss = h.mean() ** 2 + (h.var() - 1) ** 2
        return loss, {"loss_features": loss}

    def logits(self, params, images):
        head = params["head"]
        return self.features(params, images)[:, None] * head["kernel"][None] + head["bias"][None]

    def loss(self, params, batch, key, *, train):
        logs = jax.nn.log_softmax(self.logits(params, batch["image"]))
        loss = -jnp.take_along_axis(logs, batch["label"][:, None], axis=1).mean()
        return loss, {"loss_head": loss}

    def classify(self, params, images, key, *, draws=1, index=None, weights=None):
        logs = jax.nn.log_softmax(self.logits(params, images))
        every = jnp.broadcast_to(logs[None], (draws, *logs.shape))
        ok = jnp.ones(every.shape[:2], bool)
        mode, nfe = every.argmax(-1), jnp.ones(())
        return Prediction(-every, jnp.exp(every), mode, nfe, ok, classes=self.classes)

    def numbers(self, labels):
        return class_numbers(self.classes, labels)


@dataclass(frozen=True)
class ToyParts:
    """Nothing."""

    params: dict = dataclasses.field(default_factory=dict)

    def save(self, folder):
        (folder / "toy.txt").write_text("toy parts\n")


@dataclass(frozen=True)
class Features:
    """A section of the family's own: the features of the split, and a few of its images."""

    name: str = "features"

    def __call__(self, run):
        h = run.flow.model.features(run.flow.params, jnp.asarray(run.chosen.images / 127.5 - 1))
        block = {"mean": float(np.mean(h)), "sd": float(np.std(h))}
        return block, {"features_images": run.chosen.images[:4]}


class ToyFamily:
    """See :class:`msflow_jax.families.Family`."""

    name = "toy"
    files: ClassVar = ("toy.txt",)
    words: ClassVar = {"distance": "negative log-probability"}
    table: ClassVar = {}

    def settings(self):
        model = dict(family="toy", colour="grey")
        sample = dict(classify=dict(draws=1, prior="natural"), generate=dict(per_class=1))
        return ConfigDict(dict(model=model, sample=sample))

    def choose(self, config, key, value):
        pass

    def fit_to(self, facts, *, small, memory):
        return {"data.name": facts.source}

    def check(self, config):
        if config.model.colour != "grey":
            raise ValueError(f"unknown model.colour {config.model.colour!r}: choose 'grey'")

    def upgrade(self, stored):
        return dict(stored)

    def prepare(self, config, splits):
        return ToyParts()

    def load(self, config, info, folder):
        assert (folder / "toy.txt").is_file()
        return ToyParts()

    def build(self, config, info, parts):
        return ToyModel(tuple(info.classes), (info.side, info.side, info.channels))

    def stages(self, config, splits, parts, model):
        key = jax.random.key(config.train.seed)
        source = source_of(splits.train, config.data.loader, config.data.workers)
        first = ConfigDict(config.train.to_dict())
        first.select = "-val_shift"
        return [
            Stage(
                name="features", loss=model.features_loss, source=source, config=first,
                start=lambda tree: model.start_features(key), trains="features/.*",
                validate=Validation(
                    lambda tree: {"val_shift": abs(float(tree["features"]["shift"]))}, ("-val_shift",)
                ),
            ),
            Stage(
                name="head", loss=model.loss, source=source, config=config.train,
                start=lambda tree: {**tree, **model.start_head(key)}, trains="head/.*",
                validate=make_validation(model, splits.val.images, splits.val.labels, config),
            ),
        ]  # fmt: skip

    def sections(self, config, stage=""):
        if stage == "features":
            return [Features()]
        return [sections.Classification(), sections.Abstention(), Features()]


FAMILY = ToyFamily()
