"""The family of symmetric flows: its settings, parts, models, training and evaluation."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from msflow_jax.data import Info, Splits
from msflow_jax.data.order import cropped
from msflow_jax.families import Section
from msflow_jax.inference.settings import CLASSIFIED
from msflow_jax.inference.validation import CLASSIFICATION, FLOW_LOSS, SEGMENTATION
from msflow_jax.latent.codec import Codec, LatentCodec, PixelCodec
from msflow_jax.nets.networks import build_network, check_network, network_settings
from msflow_jax.symmetric.codes import SCHEMES, Code
from msflow_jax.symmetric.latent_codes import SCHEMES as LATENT_SCHEMES
from msflow_jax.symmetric.latent_codes import LatentCode
from msflow_jax.symmetric.model import SymmetricFlow
from msflow_jax.symmetric.parts import FOLDER, PICTURES, STD
from msflow_jax.symmetric.readout import READOUTS, check_resize
from msflow_jax.symmetric.settings import LIMITS, TABLE, check_likelihood_settings
from msflow_jax.symmetric.times import TimeDistribution
from msflow_jax.training import distillation
from msflow_jax.training.validation import check_select

NAME = "symmetric"
# What the validation of a task reports, and what picks the best checkpoint by default.
METRICS = {"classify": (*CLASSIFICATION, FLOW_LOSS), "segment": (*SEGMENTATION, FLOW_LOSS)}
DEFAULTS = {"classify": "val_auc", "segment": "val_dice"}
_RENAMED = {"reading_share": "classification_fraction", "reading_weight": "classification_weight"}


class SymmetricFamily:
    """MedSymmFlow and SymmFlow, in pixels and in latents; see :class:`msflow_jax.families.Family`."""

    name = NAME
    files: Sequence[str] = (FOLDER, PICTURES, STD)
    words: Mapping[str, str] = {
        "distance": "distance",
        "distances": "distances (MedSymmFlow)",
        "draw": "noise draw",
    }
    table, limits = TABLE, LIMITS
    crops = True

    def settings(self) -> ConfigDict:
        """The published size in pixel space (MedSymmFlow "MSF", arXiv 2507.19098)."""
        model = dict(
            family=NAME,
            task="classify",  # or "segment": labels are the per-pixel maps of the data
            # "palette", "grey" or "simplex"; with an autoencoder also "encoded" or "pooled"
            code=dict(scheme="palette", beta=4.0, pooling=""),
            latent=dict(
                autoencoder="",  # folder of msflow convert-vae, or "patches"; empty: pixels
                readout="latent",  # or "decode", as published
                pictures=8,  # label pictures of each class that are encoded once
                patch=8,  # "patches": side of a patch
                channels=16,  # "patches": principal components
                precondition=False,  # by the spread of each channel of the latents
                cache="",  # where latents are kept; empty: in the user's cache folder
                batch=8,  # images encoded at a time, each with its flips
                dtype="float32",  # or "bfloat16": what the autoencoder computes in
            ),
            net=network_settings("unet"),  # or "dit", with settings of its own
            # Side inside the network, or at which images are encoded; the authors' code makes 32 of
            # 28 and 256 of 224. 0: as the images are.
            resize=0,
            image_weight=0.7,
            sigma_min=0.0,
            time=dict(
                name="uniform", loc=0.0, scale=1.0, classification_fraction=0.0,
                classification_weight=1.0,
            ),
            code_dropout=0.0,
            distillation=dict(distillation.SETTINGS),
        )  # fmt: skip
        sample = dict(
            classify=dict(solver="euler", steps=1, draws=8, **CLASSIFIED),
            generate=dict(solver="euler", steps=25, guidance=1.0, per_class=64),
            likelihood=dict(images=0, solver="midpoint", steps=16, probes=1),
        )
        return ConfigDict(dict(model=model, sample=sample))

    def choose(self, config: ConfigDict, key: str, value: str) -> None:
        """Another network by ``model.net.name``; by ``model.task`` the metric that picks the best."""
        if key == "model.task":
            _choose_select(value, config.train)
        if key == "model.net.name":
            config.model.net = network_settings(value, config.model.net)

    def check(self, config: ConfigDict) -> None:
        """What can be refused without data: tasks, networks, codes, read-outs, number formats."""
        from msflow_jax.ode import FIXED, SOLVERS  # here: diffrax takes a second to import

        model = config.model
        check_select(config.train.select, METRICS[model.task])
        check_network(model.net)
        TimeDistribution(**model.time)
        check_resize(model.task == "segment", model.resize, config.data.side)
        distillation.check(model.distillation, () if model.code_dropout else ("guidance",))
        check_likelihood_settings(config)
        for verb in ("classify", "generate", "likelihood"):
            every = tuple(FIXED) if verb == "likelihood" else SOLVERS
            distillation.check_solver(config, verb, every, jumps=verb == "generate")
        scheme, latent = model.code.scheme, model.latent
        if scheme in LATENT_SCHEMES and not latent.autoencoder:
            raise ValueError(
                f"the code {scheme!r} needs an autoencoder: set model.latent.autoencoder"
            )
        if scheme not in (*SCHEMES, *LATENT_SCHEMES):
            known = ", ".join((*SCHEMES, *LATENT_SCHEMES))
            raise ValueError(f"unknown code {scheme!r}: choose one of {known}")
        if scheme in SCHEMES:
            Code(scheme, 2, model.code.beta, model.code.pooling)
        if latent.readout not in READOUTS:
            raise ValueError(
                f"unknown read-out {latent.readout!r}: choose one of {', '.join(READOUTS)}"
            )
        needs_pixels = {
            "model.task='segment'": model.task == "segment",
            "data.dims=3": config.data.dims == 3,
            f"train.crop={config.train.crop}": config.train.crop,
        }
        for setting, chosen in needs_pixels.items():
            if latent.autoencoder and chosen:
                raise ValueError(
                    f"{setting} needs a model of pixels: clear model.latent.autoencoder"
                )

    def upgrade(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Format 1 held the settings of all families and networks, and other words for two of them."""
        model = {k: v for k, v in stored["model"].items() if k != "coupling"}
        known = network_settings(model["net"]["name"])
        model["net"] = {k: v for k, v in model["net"].items() if k in known}
        model["time"] = {_RENAMED.get(k, k): v for k, v in model["time"].items()}
        sample = dict(stored["sample"])
        sample["generate"] = {k: v for k, v in sample["generate"].items() if k != "temperature"}
        train = dict(stored["train"])
        _choose_select(model["task"], train)  # what was no metric then picked the newest
        return {**stored, "model": model, "sample": sample, "train": train}

    def fit_to(self, facts: Any, *, small: bool, memory: int) -> dict[str, Any]:
        """A flow in pixels at the side, batch and number of steps that fit the images."""
        from msflow_jax.symmetric.own import choose

        return choose(facts, small=small, memory=memory)

    def prepare(self, config: ConfigDict, splits: Splits) -> Any:
        """The autoencoder and what is made by it; nothing for a flow in pixels."""
        from msflow_jax.symmetric.parts import prepare

        splits.info.require_image()
        return prepare(config.model, splits.info, splits.train)

    def load(self, config: ConfigDict, info: Info, folder: Path) -> Any:
        """The same from a workdir."""
        from msflow_jax.symmetric.parts import load

        return load(config.model, folder)

    def build(self, config: ConfigDict, info: Info, parts: Any) -> SymmetricFlow:
        """The flow around its network, code and codec.

        Raises:
            ValueError: data without label maps for a segmentation, or images that the autoencoder
                cannot encode.
        """
        model = config.model
        maps = model.task == "segment"
        classes = info.map_classes if maps else info.classes
        if not classes:
            raise ValueError(f"{info.name} has no label maps: model.task='segment' needs them")
        shape = (*cropped(info.sides, config.train.crop), info.channels)
        code: Code | LatentCode | None = parts.code
        if code is None:
            code = Code(model.code.scheme, len(classes), model.code.beta, model.code.pooling)
        codec: Codec = PixelCodec(shape, model.resize)
        if parts.autoencoder is not None:
            codec = LatentCodec(parts.autoencoder, shape, model.resize)
        return SymmetricFlow(
            net=build_network(
                model.net, codec.inner[-1] + code.channels, bool(model.distillation.teacher)
            ),
            code=code, classes=tuple(classes), codec=codec,
            image_weight=model.image_weight, sigma_min=model.sigma_min,
            time=TimeDistribution(**model.time),
            code_dropout=0.0 if distillation.guided(model.distillation) else model.code_dropout,
            image_std=parts.std,
            readout=model.latent.readout if parts.autoencoder is not None else "latent",
            maps=maps,
            learned_guidance=model.distillation.guidance,
        )  # fmt: skip

    def stages(
        self, config: ConfigDict, splits: Splits, parts: Any, model: SymmetricFlow
    ) -> Sequence[Any]:
        """One: from fresh parameters, on images or on latents that are encoded once."""
        from msflow_jax.symmetric.objective import flow_matching_loss, jumped
        from msflow_jax.symmetric.sources import trained_on
        from msflow_jax.training import Stage

        source, validate = trained_on(config, splits, parts, model)
        inner, seed = model.inside if parts.params else model, config.train.seed
        guided = distillation.guided(config.model.distillation)
        stage = Stage(
            name="",
            # A guided teacher says what images become; labels are learned as before.
            loss=partial(flow_matching_loss, model, image=False) if guided else model.loss,
            source=source,
            config=config.train,
            start=lambda tree: model.init(jax.random.key(seed)),
            validate=validate,
        )
        settings = config.model.distillation
        learn = partial(jumped, inner, settings.guidance)
        return [distillation.distilled(stage, learn, settings)]

    def sections(self, config: ConfigDict, stage: str = "") -> Sequence[Section]:
        """Classification, drawing and paths; of a segmentation the overlap of its maps."""
        from msflow_jax.inference import sections
        from msflow_jax.inference.few_steps import FewSteps
        from msflow_jax.inference.outside_section import Outside
        from msflow_jax.inference.privacy_section import Privacy
        from msflow_jax.symmetric.objective import taught
        from msflow_jax.symmetric.sections import Likelihood, Paths

        if config.model.task == "segment":
            return [sections.Segmentation()]
        found: list[Section] = [sections.Classification(), sections.Scaled(), sections.Sets()]
        found += [Outside(), sections.Abstention()]
        learned, dropout = config.model.distillation, config.model.code_dropout
        if config.sample.generate.per_class:
            few = FewSteps(partial(taught, code_dropout=dropout), learned.guidance)
            found += [sections.Generation(), Privacy(), *([few] if learned.teacher else [])]
        found += [Likelihood(n)] if (n := config.sample.likelihood.images) else []
        return [*found, Paths()]


def _choose_select(task: str, train: Any) -> None:
    """The metric of a task, where the configuration has the default of the other one."""
    if task in DEFAULTS and train["select"] in DEFAULTS.values():
        train["select"] = DEFAULTS[task]


FAMILY = SymmetricFamily()
