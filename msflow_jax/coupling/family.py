"""The family of coupling flows: its settings, parts, models, training and evaluation."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from msflow_jax.coupling.conditioners import CONDITIONERS
from msflow_jax.coupling.layout import parse
from msflow_jax.coupling.model import CouplingFlow
from msflow_jax.coupling.parts import FILE, few_enough
from msflow_jax.coupling.settings import TABLE
from msflow_jax.data import Info, Splits
from msflow_jax.families import Section
from msflow_jax.inference.settings import CLASSIFIED
from msflow_jax.inference.validation import CLASSIFICATION
from msflow_jax.training.validation import check_select

NAME = "coupling"
_FITTED = 64  # training images that the activation norms are fitted to
_CONDITIONERS: dict[str, dict[str, Any]] = {
    "residual": dict(width=32, blocks=1),
    # Glow's. False for images without a frame: the flow then knows no place.
    "convolutional": dict(width=32, spatial_bias=True),
    "generation": dict(widths=(32, 32, 32)),  # MAGIC-Flow's
    "classification": dict(widths=(32, 32, 32), dropout=0.3, dense=False),  # MAGIC-Flow's; its head
}
_RENAMED = {"contrast": "discriminative_weight", "picture": "foreground"}


def conditioner_settings(name: str, common: ConfigDict | None = None) -> ConfigDict:
    """Settings of the conditioner of this name.

    Args:
        name: name of the conditioner.
        common: settings of another conditioner, whose values are taken where both have them.

    Raises:
        ValueError: an unknown one (the known ones are listed).
    """
    if name not in _CONDITIONERS:
        known = ", ".join(_CONDITIONERS)
        raise ValueError(f"unknown model.conditioner.name {name!r}: choose one of {known}")
    settings = {"name": name, **_CONDITIONERS[name]}
    kept = {key: common[key] for key in common or () if key in settings and key != "name"}  # type: ignore[index]
    return ConfigDict({**settings, **kept})


class CouplingFamily:
    """MAGIC-Flow and its relatives; see :class:`msflow_jax.families.Family`."""

    name = NAME
    files: Sequence[str] = (FILE,)
    words: Mapping[str, str] = {
        "distance": "negative log-posterior",
        "draw": "dequantisation draw",
    }
    table = TABLE

    def settings(self) -> ConfigDict:
        """A small flow of two levels."""
        model = dict(
            family=NAME,
            layout="checkerboard:4 squeeze channel:4 split checkerboard:2 squeeze channel:4",
            conditioner=conditioner_settings("residual"),  # or another, with settings of its own
            bound=0.5,  # largest absolute log-scale of a pass
            passes=2,
            mixing="plu",  # or "dense"
            split_prior="normal",  # or "learned"
            dequantisation="uniform",  # or "variational"
            logit_margin=0.0,  # 0: no logit; 0.05 is RealNVP's
            foreground="",  # image file: the mask of the steps "foreground"
            discriminative_weight=0.0,  # of the cross-entropy over the class likelihoods in the loss
            remat=False,  # recompute each step in the backward pass
            reversible=False,  # invert each step there: memory does not grow with the depth
        )
        sample = dict(
            classify=dict(draws=8, **CLASSIFIED),
            generate=dict(temperature=1.0, per_class=64),
        )
        return ConfigDict(dict(model=model, sample=sample))

    def choose(self, config: ConfigDict, key: str, value: str) -> None:
        """Another conditioner by ``model.conditioner.name``."""
        if key == "model.conditioner.name":
            config.model.conditioner = conditioner_settings(value, config.model.conditioner)

    def check(self, config: ConfigDict) -> None:
        """What can be refused without data: conditioners, choices, words of the layout."""
        model = config.model
        known = set(conditioner_settings(model.conditioner.name))
        if known != set(model.conditioner):
            raise ValueError(
                f"model.conditioner has the settings {', '.join(sorted(model.conditioner))}, not "
                f"those of {model.conditioner.name!r}: set config.model.conditioner = "
                f"conditioner_settings({model.conditioner.name!r}) first"
            )
        check_select(config.train.select, (*CLASSIFICATION, "-val_bits"))
        stages = parse(model.layout, (1 << 20, 1 << 20, 2))  # a side that any squeeze divides
        usual = _CONDITIONERS[model.conditioner.name].get("widths")
        if all(s.widths for s in stages if s.steps) and model.conditioner.get("widths") != usual:
            warnings.warn(
                f"model.conditioner.widths={model.conditioner.widths} has no effect: all steps of "
                "model.layout have widths of their own, as in channel:1/16,32,32",
                stacklevel=2,
            )

    def upgrade(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Format 1 held the settings of all families and conditioners, and other words."""
        given = {_RENAMED.get(k, k): v for k, v in stored["model"]["coupling"].items()}
        given["layout"] = given["layout"].replace("picture:", "foreground:")
        name, widths = given.pop("conditioner"), given.pop("widths")
        every = {"width": widths[0], "widths": widths, "spatial_bias": given.pop("places")}
        every |= {key: given.pop(key) for key in ("blocks", "dropout", "dense")}
        own = {key: every[key] for key in _CONDITIONERS[name]}
        sample = dict(stored["sample"])
        known = self.settings().sample
        for verb in ("classify", "generate"):
            sample[verb] = {k: v for k, v in sample[verb].items() if k in known[verb]}
        model = {"family": NAME, **given, "conditioner": {"name": name, **own}}
        return {**stored, "model": model, "sample": sample}

    def fit_to(self, facts: Any, *, small: bool, memory: int) -> dict[str, Any]:
        """Nothing: a layout is chosen by hand, and fits images of its own sides alone."""
        raise ValueError(
            "configs/own_images.py chooses nothing for model.family='coupling': start from "
            f"configs/magic_pneumonia.py with --config.data.name={facts.source}"
        )

    def prepare(self, config: ConfigDict, splits: Splits) -> Any:
        """The foreground mask, if the layout has one."""
        from msflow_jax.coupling.parts import prepare

        splits.info.require_image()
        return prepare(config.model, splits.info, splits.train)

    def load(self, config: ConfigDict, info: Info, folder: Path) -> Any:
        """The same from a workdir."""
        from msflow_jax.coupling.parts import load

        return load(config.model, info.sides, folder)

    def build(self, config: ConfigDict, info: Info, parts: Any) -> CouplingFlow:
        """The flow; its class prior is that of the training images, where it is known."""
        given = config.model.to_dict()
        del given["family"], given["foreground"]
        own = given.pop("conditioner")
        own = {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in own.items()}
        total = sum(info.counts)
        return CouplingFlow(
            CONDITIONERS[own.pop("name")](len(info.classes), **own),
            tuple(info.classes),
            info.shape,
            **given,
            foreground=parts.foreground,
            class_prior=tuple(n / total for n in info.counts) if total else (),
        )

    def stages(
        self, config: ConfigDict, splits: Splits, parts: Any, model: CouplingFlow
    ) -> Sequence[Any]:
        """One: from activation norms that are fitted to a few training images."""
        from msflow_jax.inference.validation import make_validation
        from msflow_jax.training import Stage
        from msflow_jax.training.source import source_of

        val, seed = splits.val, config.train.seed
        # Batches of equally many of each class: their prior is uniform, whatever that of the data is.
        learned = dataclasses.replace(model, class_prior=()) if config.train.balanced else model
        return [
            Stage(
                name="",
                loss=learned.loss,
                source=source_of(
                    splits.train, config.data.loader, config.data.workers, splits.info.flips
                ),
                config=config.train,
                start=lambda tree: initial_parameters(model, splits.train, seed),
                validate=make_validation(model, val.images, val.labels, config),
            )
        ]

    def sections(self, config: ConfigDict, stage: str = "") -> Sequence[Section]:
        """Classification and its calibration, drawing, likelihoods, and maps that explain them."""
        from msflow_jax.coupling.sections import Explanations, Likelihood, Temperatures
        from msflow_jax.inference import sections
        from msflow_jax.inference.outside_section import Outside
        from msflow_jax.inference.privacy_section import Privacy

        found: list[Section] = [
            sections.Scaled(), sections.Sets(), Outside(), sections.Abstention(),
            sections.Classification(), sections.Generation(), Privacy(), Likelihood(),
            Explanations(), Temperatures(),
        ]  # fmt: skip
        drawing = sections.Generation, Privacy, Temperatures
        left_out = () if config.sample.generate.per_class else drawing
        return [one for one in found if not isinstance(one, left_out)]


def initial_parameters(model: CouplingFlow, train: Any, seed: int) -> Any:
    """Fresh parameters with activation norms fitted to a few training images.

    Args:
        model: coupling flow to initialise.
        train: split of training images.
        seed: seed of the parameters, the images and their dequantisation noise.
    """
    from msflow_jax.data import some
    from msflow_jax.data.batches import to_float

    few = some(train, few_enough(_FITTED, model.shape), seed)
    k_init, k_noise = jax.random.split(jax.random.key(seed))

    @jax.jit
    def fitted(params: Any, images: jax.Array, labels: jax.Array) -> Any:
        x = model.dequantised(params, to_float(images), k_noise)
        return model.fit_actnorm(params, x, labels)

    return fitted(model.init(k_init), few.images, few.labels)


FAMILY = CouplingFamily()
