"""The family of SynerMedGen: its settings, parts, models, training and evaluation."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from ml_collections import ConfigDict

from msflow_jax.data import Info, Splits
from msflow_jax.families import Section
from msflow_jax.latent.codec import Codec, PixelCodec
from msflow_jax.paired import latents
from msflow_jax.paired.controls import make_controls
from msflow_jax.paired.distillation import TAKEN, check_teacher
from msflow_jax.paired.settings import check_guidance, check_settings, measured_routes
from msflow_jax.synergy.checks import (
    GUIDANCE,
    check_networks,
    check_prediction,
    check_stages,
    restored,
    unguided,
)
from msflow_jax.synergy.encoder import AppearanceEncoder, ContentEncoder
from msflow_jax.synergy.experts import Expert
from msflow_jax.synergy.generation import Drawing
from msflow_jax.synergy.instances import TASKS
from msflow_jax.synergy.labels import Labels
from msflow_jax.synergy.model import Named, Synergy
from msflow_jax.synergy.parts import FILE, ROUTES, SynergyParts, shared_shape
from msflow_jax.synergy.phrases import OPTIONS, instructions, word
from msflow_jax.synergy.settings import (
    LIMITS,
    NAME,
    RANDOM,
    TABLE,
    UNTAUGHT,
    all_routes,
    model_settings,
    sample_settings,
)
from msflow_jax.synergy.understanding import Understanding
from msflow_jax.training.distillation import check_solver, guided, weights_of_guidance


class SynergyFamily:
    """SynerMedGen (arXiv 2605.08724); see :class:`msflow_jax.families.Family`."""

    name = NAME
    files: Sequence[str] = (FILE, ROUTES, latents.FOLDER, latents.FILE)
    words: Mapping[str, str] = {"draw": "noise draw"}
    table = TABLE
    limits = LIMITS

    def settings(self) -> ConfigDict:
        """Small sizes; ``recipes.paper`` has the published ones."""
        return ConfigDict(dict(model=model_settings(), sample=sample_settings()))

    def choose(self, config: ConfigDict, key: str, value: str) -> None:
        """No network brings settings of its own."""

    def check(self, config: ConfigDict) -> None:
        """Raises a ValueError for a stage, arm, route or size that does not exist."""
        from msflow_jax.ode import SOLVERS  # diffrax takes a second to import

        model = config.model
        check_settings(config)
        all_routes(model)
        check_stages(model)
        check_networks(model)
        check_guidance(config, "translate", unguided(model))
        check_teacher(config, unguided(model))
        check_solver(config, "translate", SOLVERS, jumps=True)
        name = "sample.translate.solver"
        check_prediction(model.prediction, config.sample.translate.solver, name)

    def upgrade(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """There was no such family in format 1."""
        return dict(stored)

    def restore(self, config: ConfigDict) -> list[str]:
        """Kept runs may have a solver that is refused now."""
        return restored(config)

    def fit_to(self, facts: Any, *, small: bool, memory: int) -> dict[str, Any]:
        """Nothing: images of one modality with a class are not what this family is for."""
        raise ValueError(
            "synergy needs registered modalities: start from configs/synermedgen_cohort.py"
        )

    def prepare(self, config: ConfigDict, splits: Splits) -> SynergyParts:
        """The tokeniser of questions and instructions."""
        from msflow_jax.synergy.parts import prepare

        return prepare(config, splits)

    def load(self, config: ConfigDict, info: Info, folder: Path) -> SynergyParts:
        """The same from a workdir."""
        from msflow_jax.synergy.parts import load

        return load(config, info, folder)

    def build(self, config: ConfigDict, info: Info, parts: SynergyParts) -> Synergy:
        """The networks.

        Raises:
            ValueError: a modality that the data have not, or modalities of different shapes.
        """
        model, dtype = config.model, jnp.dtype(config.model.dtype)
        shape = shared_shape(config, info)
        codec: Codec = PixelCodec(shape, model.resize)
        if parts.latents:
            codec = parts.latents.codec(shape, model.resize)
        own, patch = model.encoder, model.encoder.patch
        grid = tuple(-(-side // patch) for side in shape[:-1])
        size = parts.tokeniser.size
        names = tuple(model.modalities)
        said = _rows(parts, [word(name) for name in names])
        latent = parts.latents is not None
        modalities = {
            name: Named(word(name), row, latent) for name, row in zip(names, said, strict=True)
        }
        routes = all_routes(model)
        drawn = "generate" in model.stages or "mixed" in model.stages
        return Synergy(
            modalities=modalities,
            codec=codec,
            content=ContentEncoder(
                own.features, own.width, patch, own.kind, own.depth, own.heads, dtype
            ),
            look=AppearanceEncoder(own.look, own.look_width, dtype),
            understanding=Understanding(
                size, model.expert.width, own.features, own.look, grid, _expert(model, dtype),
                model.pooled, dtype,
            ),
            drawing=Drawing(
                codec.inner[-1], model.expert.width, model.patch, _expert(model, dtype),
                len(codec.inner) - 1, dtype, bool(model.distillation.teacher),
            ),
            labels=_labels(model, info),
            routes=_instructions(parts, names),
            alone=_rows(parts, [text for kind in OPTIONS.values() for text in kind]),
            trained=tuple(route for route in routes if drawn and route in parts.routes),
            taught=_taught(model),
            paired=drawn,
            classes=tuple(info.classes),
            noise=model.noise,
            temperature=model.tasks.temperature,
            prediction=model.prediction,
            time=model.time,
            unguided=GUIDANCE if guided(model.distillation) else unguided(model),
            controls=make_controls(
                model, info, dict.fromkeys(modalities, shape), dtype=model.dtype, remat=model.remat
            ),
        )  # fmt: skip

    def stages(
        self, config: ConfigDict, splits: Splits, parts: SynergyParts, model: Synergy
    ) -> Sequence[Any]:
        """Understanding, then drawing, then controls."""
        from msflow_jax.synergy.stages import stages

        return stages(config, splits, parts, model)

    def sections(self, config: ConfigDict, stage: str = "") -> Sequence[Section]:
        """Answers, translations of the configured routes, and classes where the model classifies."""
        from msflow_jax.inference.outside_section import Outside
        from msflow_jax.inference.sections import Abstention, Classification, Scaled, Sets
        from msflow_jax.paired.few_steps import FewSteps
        from msflow_jax.paired.sections import Translation
        from msflow_jax.synergy.distillation import taught
        from msflow_jax.synergy.understanding_section import Answers

        names = [UNTAUGHT, *config.model.stages]
        done = names[: names.index(stage) + 1] if stage in names else names
        done = [] if stage == TAKEN else done  # all but what draws
        # An earlier stage's drawing was not taught what the last one looks at.
        drawn = [one for one in names if one not in (UNTAUGHT, "understand", "classify")][-1]
        found: list[Section] = [Answers(config.sample.answer.count)]
        if drawn in done:
            routes, examples = measured_routes(config), config.sample.evaluate.examples
            found.append(Translation(routes, examples))
            if (learned := config.model.distillation).teacher:
                teacher = partial(taught, unguided=unguided(config.model))
                found.append(FewSteps(teacher, weights_of_guidance(learned), routes, examples))
        if "classify" in done:
            found += [Abstention(), Classification(), Scaled(), Sets(), Outside()]
        return found


def _labels(model: ConfigDict, info: Info) -> Labels | None:
    """The head of a model that classifies."""
    if "classify" not in model.stages:
        return None
    if len(info.classes) < 2:
        raise ValueError(
            f"model.stages has classify, but the data have {len(info.classes)} class: take it out, or "
            "name the classes in the table of the cohort"
        )
    return Labels(len(info.classes))


def _taught(model: ConfigDict) -> tuple[str, ...]:
    """Which tasks a configuration teaches; of single images ``question``."""
    arm = model.tasks.arm
    if arm == RANDOM or not {"understand", "mixed"} & set(model.stages):
        return ()
    return ("question",) if arm == "questions" else tuple(t for t in TASKS if arm != f"no_{t}")


def _instructions(
    parts: SynergyParts, names: Sequence[str]
) -> dict[tuple[str, str], tuple[tuple[int, ...], ...]]:
    """The phrasings of every route that training knows, all rows equally long."""
    every = [(a, b) for a in names for b in names if a != b]
    said = [instructions(word(a), word(b)) for a, b in every]
    rows = iter(_rows(parts, [text for texts in said for text in texts]))
    return {
        route: tuple(next(rows) for _ in texts) for route, texts in zip(every, said, strict=True)
    }


def _rows(parts: SynergyParts, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Token numbers of some texts, cut to the longest of them."""
    rows = parts.tokeniser.encode(texts)
    length = int((rows > 0).sum(axis=1).max())
    return tuple(tuple(map(int, row[:length])) for row in rows)


def _expert(model: ConfigDict, dtype: Any) -> Expert:
    own = model.expert
    return Expert(
        own.depth, own.heads, own.pairs, own.size, own.hidden, own.near, dtype, model.remat
    )


FAMILY = SynergyFamily()
