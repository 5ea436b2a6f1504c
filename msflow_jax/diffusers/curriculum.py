"""The stages of MedM2G: codec of text, alignment, each diffuser alone, then the links.

arXiv 2403.04290, section "multi-flow training": a link trains what its new modality needs of partners,
and all that came before is frozen. Text and X-ray come first, then text and CT, then CT and MR.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax
from ml_collections import ConfigDict

from msflow_jax.data import Splits, in_memory
from msflow_jax.diffusers import networks, objectives
from msflow_jax.diffusers.decoder_stages import decoder_stages
from msflow_jax.diffusers.distillation import jumped
from msflow_jax.diffusers.encoded import Encoded, encode
from msflow_jax.diffusers.model import Diffusers
from msflow_jax.diffusers.subjects import check_subjects
from msflow_jax.paired.control_stages import control_stages
from msflow_jax.paired.distillation import jump_stage, summed, taken_stage
from msflow_jax.paired.latents import Latents
from msflow_jax.paired.pairs import pair_source
from msflow_jax.paired.settings import REPORT
from msflow_jax.paired.stages import make_stage
from msflow_jax.paired.tokens import Tokeniser
from msflow_jax.training import Stage
from msflow_jax.training.distillation import weights_of_guidance
from msflow_jax.training.source import Source
from msflow_jax.training.stage import update


def stages(
    config: ConfigDict, splits: Splits, tokeniser: Tokeniser | None, model: Diffusers,
    latents: Mapping[str, Latents] | None = None,
) -> list[Stage]:  # fmt: skip
    """All stages in order; images that are drawn in latents are encoded, or read from the cache.

    Raises:
        ValueError: a link without training examples, or sets with common subjects.
    """
    check_subjects(in_memory(splits.train), model.links, config.model.shared_subjects)
    for line in (*_small_patches(config, model), *_untrained_guidance(config)):
        warnings.warn(line, stacklevel=2)
    make = _Maker(config, splits, tokeniser, model, _encoded(config, splits, latents or {}))
    if config.model.distillation.teacher:
        return list(make.distilled())
    found = list(make.codec())
    found += [make.align(*pair) for pair in model.aligned]
    found += [make.draw(name) for name in model.modalities]
    joint = config.model.curriculum == "joint"
    found += [make.joint()] if joint else [make.link(i) for i in range(len(model.links))]
    return [*found, *control_stages(make, model.controls), *decoder_stages(make)]


def _small_patches(config: ConfigDict, model: Diffusers) -> Iterator[str]:
    """A line for each patch that images, or their latents, are too small for."""
    found: dict[tuple[bool, int], list[str]] = {}
    for name, one in model.modalities.items():
        wanted = config.model.latent.net_patch if one.latent else config.model.net.patch
        if not one.text and one.diffuser.patch != wanted:
            found.setdefault((one.latent, min(one.inner[:-1])), []).append(name)
    for (latent, side), names in found.items():
        key, of = ("latent.net_patch", "latents") if latent else ("net.patch", "pixels")
        wanted = config.model.latent.net_patch if latent else config.model.net.patch
        yield (
            f"model.{key}={wanted} is not used for {', '.join(names)}: a side of {side} {of} is below "
            f"four patches, and a patch of 1 is used, with as many tokens as {of}: set it to "
            f"{max(side // 4, 1)} or less"
        )


def _untrained_guidance(config: ConfigDict) -> Iterator[str]:
    """A line for each weight of partners against a drawing that links leave behind."""
    parts = {f"sample.{verb}": config.sample[verb] for verb in ("translate", "generate")}
    for key, part in {**parts, "model.distillation": config.model.distillation}.items():
        if not config.model.frozen_trunks and (weight := part.partner_guidance) != 1:
            yield (
                f"{key}.partner_guidance={weight:g} weighs partners against drawing without them, which "
                "links do not train with model.frozen_trunks=False: set it to 1"
            )


def _encoded(
    config: ConfigDict, splits: Splits, latents: Mapping[str, Latents]
) -> tuple[dict[str, Encoded], dict[str, Encoded]]:
    """The latents of the training and of the validation split."""
    train = encode(latents, config.model, in_memory(splits.train), "train", splits.info)
    return train, encode(latents, config.model, splits.val, "val", splits.info)


@dataclasses.dataclass
class _Maker:
    config: ConfigDict
    splits: Splits
    tokeniser: Tokeniser | None
    model: Diffusers
    encoded: tuple[dict[str, Encoded], dict[str, Encoded]]
    sources: dict[tuple[str, ...], tuple[Source, Source]] = dataclasses.field(default_factory=dict)

    def pair(self, *names: str) -> tuple[Source, Source]:
        """Training and validation examples that have all of these, made once."""
        key = tuple(sorted(names))
        if key not in self.sources:
            train, val = in_memory(self.splits.train), self.splits.val
            self.sources[key] = (
                pair_source(train, key, self.tokeniser, "training", self.encoded[0]),
                pair_source(val, key, self.tokeniser, "validation", self.encoded[1]),
            )
        return self.sources[key]

    def stage(
        self, name: str, kind: str, objective: Callable[..., Any], pair: tuple[Source, Source],
        trains: str, parts: Sequence[tuple[Sequence[str], Sequence[str]]],
    ) -> Stage:  # fmt: skip
        key = jax.random.key(self.config.train.seed)

        def start(tree: Any) -> Any:
            for kinds, names in parts:
                tree = update(tree, networks.start(self.model, key, kinds, names))
            return tree

        return make_stage(self.config, name, kind, objective, pair, trains, start)

    def codec(self) -> Iterator[Stage]:
        if self.model.text is None:
            return
        text = self.config.model.text
        objective = partial(
            objectives.text_objective, self.model, text.free_bits, text.word_dropout
        )
        parts = [(("text",), ())]
        yield self.stage("text", "text", objective, self.pair(REPORT), "text/.*", parts)

    def align(self, new: str, known: str) -> Stage:
        """A modality attaches to one that is there; of the first link both are trained."""
        first = (new, known) == self.model.aligned[0]
        names = (new, known) if first else (new,)
        objective = partial(
            objectives.align_objective, self.model, new, known, self.config.model.align.invariance,
            self.config.model.align.word_dropout,
        )  # fmt: skip
        trains = f"align/({'|'.join(names)})/.*|temperature/{new}"
        parts = [(("align",), names), (("temperature",), (new,))]
        return self.stage(f"align-{new}", "align", objective, self.pair(new, known), trains, parts)

    def draw(self, name: str) -> Stage:
        partner = _partner(self.model, name)
        objective = partial(
            objectives.draw_objective, self.model, name, partner, self.config.model.dropout
        )
        parts = [(("diffuser",), (name,))]
        pair = self.pair(name, partner)
        return self.stage(f"draw-{name}", "draw", objective, pair, f"diffuser/{name}/.*", parts)

    def link(self, number: int) -> Stage:
        """What was in no earlier link is trained: the new modalities, of the first link all.

        Of guides and context encoders that are the link's own also those of the known one.
        """
        names, guide = self.model.links[number], self.model.guide(number)
        fresh = names if number == 0 else names[:-1]
        guided = fresh if self.model.shared_guides else names
        parts = [((networks.GUIDE + guide, networks.CONTEXT + guide), guided)]
        trains = _guides(guided, guide)
        if not self.config.model.frozen_trunks:
            trains += f"|diffuser/({'|'.join(fresh)})/.*"
        name, objective = f"link-{'-'.join(names)}", self.link_objective(names)
        return self.stage(name, "link", objective, self.pair(*names), trains, parts)

    def link_objective(self, names: tuple[str, ...]) -> Callable[..., Any]:
        model = self.config.model
        return partial(
            objectives.link_objective, self.model, names, model.dropout, model.context.weight
        )

    def joint(self) -> Stage:
        """All links at once, no link frozen for another: what a curriculum is compared with."""
        objectives_ = {"-".join(link): self.link_objective(link) for link in self.model.links}
        pairs = {"-".join(link): self.pair(*link) for link in self.model.links}
        train = {name: pair[0] for name, pair in pairs.items()}
        val = {name: pair[1] for name, pair in pairs.items()}
        objective = summed(objectives_)
        parts, trains = [], []
        for number, link in enumerate(self.model.links):
            guide = self.model.guide(number)
            parts.append(((networks.GUIDE + guide, networks.CONTEXT + guide), link))
            trains.append(_guides(link, guide))
            if not self.config.model.frozen_trunks:
                trains.append(f"diffuser/({'|'.join(link)})/.*")
        return self.stage("links", "link", objective, (train, val), "|".join(trains), parts)  # type: ignore[arg-type]

    def distilled(self) -> Iterator[Stage]:
        """What the teacher has, then jumps of each modality, from what its links join it to."""
        guidance = weights_of_guidance(self.config.model.distillation)
        first = self.pair(*self.model.links[0])
        yield taken_stage(self.config, self.model.init, first, "diffuser/.*")
        for name in self.model.modalities:
            links = {"-".join(link): link for link in self.model.links if name in link}
            makers = {
                key: partial(jumped, self.model, name, link, guidance)
                for key, link in links.items()
            }
            pairs = {key: self.pair(*link) for key, link in links.items()}
            pair: Any = tuple({key: one[i] for key, one in pairs.items()} for i in range(2))
            if len(pairs) == 1:
                pair = next(iter(pairs.values()))
            draws = f"diffuser/{name}/.*"
            yield jump_stage(self.config, f"jump-{name}", self.model.init, draws, makers, pair)


def _guides(names: Sequence[str], guide: str) -> str:
    """Leaves that let these look at partners by a guide, and tell them."""
    some = "|".join(names)
    return f"{networks.CONTEXT}{guide}/({some})/.*|diffuser/({some})/{networks.guide_leaves(guide)}"


def _partner(model: Diffusers, name: str) -> str:
    """What a modality is aligned with: as the new one of a pair, or else as the known one."""
    for new, known in model.aligned:
        if new == name:
            return known
    for new, known in model.aligned:
        if known == name:
            return new
    raise ValueError(f"the modality {name!r} is in no link: add one to model.links")
