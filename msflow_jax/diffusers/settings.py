"""The values and the meaning of every setting of MedM2G's diffusers."""

import itertools
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from msflow_jax.nets.networks import TABLE as NETWORKS
from msflow_jax.nets.networks import network_settings
from msflow_jax.paired.settings import (
    BETWEEN,
    REPORT,
    check_among,
    control_lengths,
    control_settings,
    evaluate_settings,
    latent_settings,
)
from msflow_jax.paired.settings import LIMITS as PAIRED_LIMITS
from msflow_jax.paired.settings import TABLE as PAIRED
from msflow_jax.settings import COUNT, Only, Setting
from msflow_jax.training import distillation

NAME = "diffusers"
AND = "+"  # modalities of a link: new-known, or new+new-known


def model_settings() -> dict[str, Any]:
    """The defaults of the part ``model``: small ones, since the paper's sizes are not known."""
    return dict(
        family=NAME,
        modalities=("report", "xray", "ct", "t1w", "t2w"),
        # In the order of the training; each attaches to one that is there. What several new ones join,
        # "t1w+t2w-ct", is trained at once, on all pairs of theirs. Empty: a chain, each attaches to
        # the modality before it; so it is where modalities are chosen on the command line.
        links=("xray-report", "ct-report", "t1w-ct", "t2w-ct"),
        curriculum="links",  # or "joint": all links at once
        shared_guides=True,  # whether a diffuser looks at all partners by one guide, as in the paper
        frozen_trunks=True,  # whether a link leaves its new diffusers as they are but for their guides
        shared_subjects=False,  # whether the sets of two links may have subjects in common
        # Steps of a stage of each kind, relative to train.steps.
        lengths=dict(text=1.0, align=1.0, draw=1.0, link=1.0, **control_lengths(), decode=0.5),
        tokeniser="",  # JSON file of the library tokenizers; empty: made from the training reports
        prediction="velocity",  # or "epsilon"
        resize=0,
        latent=dict(
            # The autoencoder: a folder of msflow convert-vae, or "patches"; or of some modalities
            # their own: "ct=FOLDER,t1w=patches". Empty: pixels.
            **latent_settings(),
            net_patch=2,  # side of a diffuser's patch, of latents; of pixels it is net.patch
            cache="",  # where latents are kept; empty: in the user's cache folder
        ),
        # depth, patch and heads are a ViT's.
        align=dict(
            encoder="cnn",
            width=16,
            depth=4,
            patch=4,
            heads=4,
            features=64,
            views=128,
            invariance=1.0,
            word_dropout=0.3,
        ),
        text=dict(side=4, latent=16, width=128, depth=2, free_bits=0.5, word_dropout=0.3),
        net=network_settings("dit"),
        guide_tokens=4,
        context=dict(width=16, features=64, side=4, temperature=0.1, weight=0.1),
        dropout=0.1,
        **control_settings(),
        # An autoregressive decoder, as large as what it is compared with: drawn reports of a source.
        decoder=dict(sources=()),
        distillation=dict(**distillation.SETTINGS, partner_guidance=1.0),
    )


def sample_settings() -> dict[str, Any]:
    """The defaults of the part ``sample``."""
    drawing = dict(steps=25, solver="euler", guidance=1.0, partner_guidance=1.0)
    return dict(
        translate=dict(draws=8, **drawing),
        generate=dict(count=32, **drawing),
        evaluate=evaluate_settings(),
    )


def parse_links(config: ConfigDict) -> tuple[tuple[str, ...], ...]:
    """The links of a part ``model``, the new modalities first, the known one last.

    Raises:
        ValueError: a link without a known one, of an unknown modality, or that attaches to nothing.
    """
    found: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for text in config.links or chained(config.modalities):
        before, _, known = text.partition(BETWEEN)
        new = before.split(AND)
        for name in (*new, known):
            if name not in config.modalities:
                raise ValueError(
                    f"model.links: {text!r} is no link new-known or new+new-known of "
                    f"{', '.join(config.modalities)}; {name!r} is none of them (empty: each attaches to "
                    "the modality before it)"
                )
        names = {*new, known}
        if len(names) <= len(new) or seen & set(new) or (seen and known not in seen):
            raise ValueError(
                f"model.links: {text!r} attaches a modality to one that an earlier link has brought; "
                f"so far there are {', '.join(sorted(seen)) or 'none'}"
            )
        seen |= names
        found.append((*new, known))
    if missing := set(config.modalities) - seen:
        raise ValueError(
            f"model.links: nothing links {', '.join(sorted(missing))}: leave links empty for a chain, "
            "or what is not linked out of model.modalities"
        )
    return tuple(found)


def chained(names: Sequence[str]) -> tuple[str, ...]:
    """The links of modalities of which each attaches to the one before it; ValueError of one alone."""
    if len(names) < 2:
        raise ValueError(f"model.modalities={tuple(names)}: two are needed, such as t1w,t2w")
    return tuple(f"{new}{BETWEEN}{known}" for known, new in itertools.pairwise(names))


def check_decoder(config: ConfigDict) -> None:
    """Refuses decoders of reports of a part ``model`` that nothing can be trained for, in one line."""
    images = [name for name in config.modalities if name != REPORT]
    among = images if REPORT in config.modalities else ()
    check_among("decoder.sources", config.decoder.sources, among, "none, without reports")


_DRAWING = {
    "steps": Setting(COUNT, "steps of the solver"),
    "solver": Setting("", "solver of the equation"),
    "guidance": Setting("[0, inf)", "weight of the condition of the common space; 1: as trained"),
    "partner_guidance": Setting("[0, inf)", "weight of the partners' tokens; 1: as trained"),
}
_REPORTS = Only("model.modalities", (REPORT,))
_VIT = Only("model.align.encoder", ("vit",))
LIMITS = {
    **PAIRED_LIMITS,
    **distillation.LIMITS,
    "train.shift": Only(why="registered images are not shifted"),
    "train.calibrate_every": Only(why="this family has no probabilities to calibrate"),
    "model.tokeniser": _REPORTS,
    "model.text.": _REPORTS,
    "model.lengths.text": _REPORTS,
    "model.align.word_dropout": _REPORTS,
    "model.lengths.decode": Only("model.decoder.sources"),
    "model.align.depth": _VIT,
    "model.align.patch": _VIT,
    "model.align.heads": _VIT,
    "model.context.temperature": Only("model.context.weight"),
    "model.align.views": Only("model.align.invariance"),
}
TABLE: dict[str, Setting] = {
    **PAIRED,
    "model.family": Setting("", "kind of flow"),
    "model.modalities": Setting("", "what is drawn: columns of a cohort, and report"),
    "model.links": Setting("", "links new-known or new+new-known in their order; empty: a chain"),
    "model.curriculum": Setting("links or joint", "one link after the other, or all at once"),
    "model.shared_guides": Setting("", "whether a modality has one guide and one context encoder"),
    "model.frozen_trunks": Setting("", "whether a link trains only the guides of its new diffusers"),
    "model.shared_subjects": Setting("", "whether sets of two links may have subjects in common"),
    "model.lengths.text": Setting("(0, inf)", "steps of the text codec over train.steps"),
    "model.lengths.align": Setting("(0, inf)", "steps of an alignment over train.steps"),
    "model.lengths.draw": Setting("(0, inf)", "steps of a diffuser over train.steps"),
    "model.lengths.link": Setting("(0, inf)", "steps of a link over train.steps"),
    "model.lengths.decode": Setting("(0, inf)", "steps of a decoder of reports over train.steps"),
    "model.decoder.sources": Setting("", "those whose reports an autoregressive decoder writes as well"),
    "model.tokeniser": Setting("", "file of the library tokenizers; empty: of the training reports"),
    "model.prediction": Setting("velocity or epsilon", "what diffusers give"),
    "model.resize": Setting("[0, 16384]", "side inside the diffusers; 0: as the images are"),
    "model.latent.autoencoder": Setting(
        "", "folder of msflow convert-vae, or patches; or ct=FOLDER,t1w=patches; empty: pixels"
    ),
    "model.latent.net_patch": Setting(COUNT, "side of a diffuser's patch where it sees latents"),
    "model.latent.cache": Setting("", "where latents are kept; empty: in the user's cache folder"),
    "model.align.encoder": Setting("cnn or vit", "encoder of images to the common space"),
    "model.align.width": Setting(COUNT, "channels of its first level; of a ViT's tokens over 8"),
    "model.align.depth": Setting(COUNT, "vit: blocks"),
    "model.align.patch": Setting(COUNT, "vit: side of a patch"),
    "model.align.heads": Setting(COUNT, "vit: heads of attention; they divide its channels"),
    "model.align.features": Setting(COUNT, "dimensions of the common space"),
    "model.align.views": Setting("[0, inf)", "width of the projector of the invariant term; 0: none"),
    "model.align.word_dropout": Setting("[0, 1)", "share of words hidden from its encoder of reports"),
    "model.align.invariance": Setting("[0, inf)", "weight of the visual-invariant term"),
    "model.text.side": Setting(COUNT, "rows and columns of a report's latent"),
    "model.text.latent": Setting(COUNT, "its channels"),
    "model.text.width": Setting(COUNT, "channels of a token"),
    "model.text.depth": Setting(COUNT, "blocks of the text transformers"),
    "model.text.free_bits": Setting("[0, inf)", "nats of a latent number that cost nothing"),
    "model.text.word_dropout": Setting("[0, 1)", "share of the words hidden from the decoder"),
    "model.guide_tokens": Setting("[0, inf)", "learned tokens beside the partners'"),
    "model.context.width": Setting(COUNT, "channels of a context encoder's first level"),
    "model.context.features": Setting(COUNT, "channels of its tokens"),
    "model.context.side": Setting(COUNT, "tokens along an axis; 1: one token, as in the base code"),
    "model.context.temperature": Setting("(0, inf)", "temperature of the contrast between contexts"),
    "model.context.weight": Setting("[0, inf)", "weight of that contrast"),
    "model.dropout": Setting("[0, 1)", "share of examples without a condition, for guidance"),
    **distillation.TABLE,
    "model.distillation.partner_guidance": Setting(
        "(0, inf)", "guidance by the partners that is learned of the teacher; 1: none"
    ),
    **{f"sample.{verb}.{k}": v for verb in ("translate", "generate") for k, v in _DRAWING.items()},
    "sample.translate.draws": Setting(COUNT, "draws of a translation"),
    "sample.generate.count": Setting("[0, inf)", "drawn images of a modality in an evaluation; 0: none"),
    **{f"model.net.{key}": NETWORKS[f"model.net.{key}"] for key in network_settings("dit")},
}  # fmt: skip
