"""The family of MedM2G's diffusers: its settings, parts, models, training and evaluation."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from ml_collections import ConfigDict

from msflow_jax.data import Info, Splits
from msflow_jax.data.order import cropped
from msflow_jax.diffusers.alignment import Aligned, ImageEncoder, TextEncoder
from msflow_jax.diffusers.decoder import with_controls
from msflow_jax.diffusers.guidance import ContextEncoder
from msflow_jax.diffusers.model import Diffusers
from msflow_jax.diffusers.networks import Modality
from msflow_jax.diffusers.parts import FILE, DiffusersParts
from msflow_jax.diffusers.settings import (
    LIMITS,
    NAME,
    TABLE,
    check_decoder,
    model_settings,
    parse_links,
    sample_settings,
)
from msflow_jax.diffusers.text import TextAutoencoder
from msflow_jax.families import Section
from msflow_jax.latent.codec import Codec, LatentCodec, PixelCodec
from msflow_jax.nets.dit import DiT
from msflow_jax.nets.networks import check_network
from msflow_jax.paired import latents
from msflow_jax.paired.distillation import TAKEN, check_teacher
from msflow_jax.paired.settings import REPORT, check_guidance, check_settings, measured_routes
from msflow_jax.training.distillation import check_solver, guided, weights_of_guidance


class DiffusersFamily:
    """MedM2G (arXiv 2403.04290); see :class:`msflow_jax.families.Family`."""

    name = NAME
    files: Sequence[str] = (FILE, latents.FOLDER, latents.FILE)
    words: Mapping[str, str] = {"draw": "noise draw"}
    table = TABLE
    limits = LIMITS

    def settings(self) -> ConfigDict:
        """Small sizes: the paper's are not known."""
        return ConfigDict(dict(model=model_settings(), sample=sample_settings()))

    def choose(self, config: ConfigDict, key: str, value: str) -> None:
        """Chosen modalities are linked in a chain, if no links are chosen as well."""
        if key == "model.modalities":
            config.model.links = ()

    def check(self, config: ConfigDict) -> None:
        """Raises a ValueError for a link, network or solver that does not exist."""
        from msflow_jax.ode import SOLVERS  # diffrax takes a second to import

        model = config.model
        parse_links(model)
        latents.parse_autoencoders(model)
        check_settings(config)
        check_decoder(model)
        check_network(model.net)
        align = model.align
        if align.encoder == "vit" and 8 * align.width % align.heads:
            raise ValueError(
                f"model.align.heads={align.heads} do not divide the ViT's {8 * align.width} channels "
                "(model.align.width times 8)"
            )
        if model.net.name != "dit":
            raise ValueError(
                f"model.net.name={model.net.name!r}: diffusers are of the network 'dit'"
            )
        unguided = () if model.dropout else ("guidance",)
        for verb in ("translate", "generate"):
            check_guidance(config, verb, unguided)
            check_solver(config, verb, SOLVERS, jumps=verb == "translate")
        check_teacher(config, unguided)
        if model.distillation.teacher and model.prediction != "velocity":
            raise ValueError(
                f"model.prediction={model.prediction!r} cannot be distilled: its paths are not straight"
            )
        if config.train.accumulate > 1:
            raise ValueError(
                f"train.accumulate={config.train.accumulate}: alignment compares members of a batch, "
                "which cannot be taken in parts: set it to 1"
            )
        if config.data.loader != "device":
            raise ValueError("data.loader='grain': pairs of modalities are kept on the device")

    def upgrade(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """There was no such family in format 1."""
        return dict(stored)

    def fit_to(self, facts: Any, *, small: bool, memory: int) -> dict[str, Any]:
        """Nothing: images of one modality with a class are not what this family is for."""
        raise ValueError("diffusers need paired modalities: start from configs/medm2g_cohort.py")

    def prepare(self, config: ConfigDict, splits: Splits) -> DiffusersParts:
        """The tokeniser of the training reports, and the autoencoders of images."""
        from msflow_jax.diffusers.parts import prepare

        return prepare(config.model, splits)

    def load(self, config: ConfigDict, info: Info, folder: Path) -> DiffusersParts:
        """The same from a workdir."""
        from msflow_jax.diffusers.parts import load

        return load(config.model, folder)

    def build(self, config: ConfigDict, info: Info, parts: DiffusersParts) -> Diffusers:
        """The networks of every modality.

        Raises:
            ValueError: a modality that the data have not.
        """
        model, tokeniser = config.model, parts.tokeniser
        text = None if tokeniser is None else _text(model, tokeniser.size)
        modalities = {}
        for name in model.modalities:
            codec: Codec | None = None
            if name != REPORT:
                shape = _shape(info, name, config.train.crop)
                codec = PixelCodec(shape, model.resize)
                if name in parts.latents:
                    codec = parts.latents[name].codec(shape, model.resize)
            modalities[name] = _modality(model, codec, text)
        made = Diffusers(
            modalities=modalities, links=parse_links(model), classes=tuple(info.classes), text=text,
            length=0 if tokeniser is None else tokeniser.length, prediction=model.prediction,
            shared_guides=model.shared_guides, temperature=model.context.temperature,
            guided=model.dropout > 0 and not guided(model.distillation), alone=model.frozen_trunks,
        )  # fmt: skip
        return with_controls(made, model, info)

    def stages(
        self, config: ConfigDict, splits: Splits, parts: DiffusersParts, model: Diffusers
    ) -> Sequence[Any]:
        """Text, alignment, each diffuser alone, then the links."""
        from msflow_jax.diffusers.curriculum import stages

        return stages(config, splits, parts.tokeniser, model, parts.latents)

    def sections(self, config: ConfigDict, stage: str = "") -> Sequence[Section]:
        """Retrieval in the common space, translation of the configured routes, reports, drawn images."""
        from msflow_jax.diffusers.distillation import taught
        from msflow_jax.diffusers.facts_section import Facts
        from msflow_jax.diffusers.generation_section import Generation
        from msflow_jax.diffusers.partners import Partners
        from msflow_jax.diffusers.report_section import Texts
        from msflow_jax.diffusers.retrieval_section import Retrieval
        from msflow_jax.paired.few_steps import FewSteps
        from msflow_jax.paired.sections import Translation

        chosen, routes = config.sample.evaluate, measured_routes(config)
        found: list[Section] = [Retrieval()]
        last = f"jump-{list(config.model.modalities)[-1]}"
        begun = stage.startswith(("text", "align", "draw", TAKEN, "jump")) and stage != last
        if not begun:
            found.append(Translation(routes, chosen.examples))
            if (learned := config.model.distillation).teacher:
                teacher = partial(taught, guided=config.model.dropout > 0)
                given = weights_of_guidance(learned), routes, chosen.examples
                found.append(FewSteps(teacher, *given))
            else:  # what was distilled has no drawing without a partner
                found.append(Partners(routes, chosen.examples))
            if REPORT in config.model.modalities:
                found += [Texts(chosen.examples), Facts(chosen.examples)]
            # Jumps are learned of what is drawn from another modality, not from nothing.
            if (count := config.sample.generate.count) and not learned.teacher:
                found.append(Generation(count))
        return found


def _text(model: ConfigDict, size: int) -> TextAutoencoder:
    own, heads = model.text, max(1, model.text.width // model.net.head_channels)
    dtype = jnp.dtype(model.net.dtype)
    return TextAutoencoder(size, own.side, own.latent, own.width, own.depth, heads, dtype)


def _modality(model: ConfigDict, codec: Codec | None, text: TextAutoencoder | None) -> Modality:
    """The networks of one modality; without a codec it is text."""
    dtype, align, context = jnp.dtype(model.net.dtype), model.align, model.context
    latent = isinstance(codec, LatentCodec)
    if codec is None:
        assert text is not None
        inner: tuple[int, ...] = (text.side, text.side, text.latent)
        encoder: Any = TextEncoder(text.size, text.width, text.depth, text.heads, dtype)
    else:
        vit = align.depth, align.patch, align.heads
        inner, encoder = codec.inner, ImageEncoder(align.width, align.encoder, *vit, dtype)
    return Modality(
        encoder=Aligned(encoder, align.features, align.views if codec else 0),
        diffuser=_diffuser(model, inner, model.latent.net_patch if latent else model.net.patch),
        context=ContextEncoder(context.width, context.features, context.side, dtype),
        inner=inner,
        codec=codec,
    )


def _diffuser(model: ConfigDict, inner: tuple[int, ...], patch: int) -> DiT:
    # A report's latent is a small grid of tokens already.
    patch, dtype = patch if min(inner[:-1]) >= 4 * patch else 1, jnp.dtype(model.net.dtype)
    return DiT(
        channels=inner[-1], patch=patch, width=model.net.width, depth=model.net.depth,
        heads=max(1, model.net.width // model.net.head_channels), dtype=dtype,
        remat=model.net.remat, guide_tokens=model.guide_tokens, span=bool(model.distillation.teacher),
    )  # fmt: skip


def _shape(info: Info, name: str, crop: int) -> tuple[int, ...]:
    """Shape of an image of a modality, as the model sees it."""
    known = {key: one for key, one in info.modalities.items() if one.kind == "image"}
    if name not in known:
        raise ValueError(f"the data have no modality {name!r}: there are {', '.join(known)}")
    *space, channels = known[name].shape
    return (*cropped(space, crop), channels)


FAMILY = DiffusersFamily()
