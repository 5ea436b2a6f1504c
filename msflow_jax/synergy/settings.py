"""The values and the meaning of every setting of SynerMedGen."""

from typing import Any

from ml_collections import ConfigDict

from msflow_jax.inference.settings import CLASSIFIED
from msflow_jax.inference.settings import TABLE as CLASSIFYING
from msflow_jax.paired.settings import LIMITS as PAIRED_LIMITS
from msflow_jax.paired.settings import TABLE as PAIRED
from msflow_jax.paired.settings import (
    control_lengths,
    control_settings,
    evaluate_settings,
    latent_settings,
    parse_route,
)
from msflow_jax.settings import COUNT, Only, Setting
from msflow_jax.streams import TIMES, UNIFORM
from msflow_jax.synergy.instances import ARMS as TAUGHT
from msflow_jax.training import distillation

NAME = "synergy"
# ``prior``: scenes of nothing in particular; ``understand``: questions; ``reconstruct``: images from
# their own content and look; ``generate``: from pairs, understanding frozen; ``mixed``: questions and
# pairs at once; ``classify``: the class of an image from what understanding sees of it.
STAGES = ("prior", "understand", "reconstruct", "generate", "mixed", "classify")
UNTAUGHT = "untaught"  # the stage of an understanding that learns nothing
RANDOM = "random"  # the arm whose understanding learns nothing
# What understanding is trained on; see ``tasks.Tasks``.
ARMS = (*TAUGHT, RANDOM)


def model_settings() -> dict[str, Any]:
    """The defaults of the part ``model``: small ones."""
    return dict(
        family=NAME,
        modalities=("ct", "t1w", "t2w", "pdw", "flair"),
        stages=("understand", "generate"),
        lengths=dict(
            prior=1.0,
            understand=1.0,
            reconstruct=1.0,
            generate=1.0,
            mixed=1.0,
            classify=0.2,
            **control_lengths(),
        ),
        tasks=dict(
            arm="aligned",
            instances=20_000,
            withhold=(),  # routes source-target of no task and of no loss
            reach=(1, 3),
            places=1.0,
            letters=1.0,  # share of a batch whose letters the expert reads
            temperature=0.05,
            scenes=4000,
            replay=0.0,  # weight of drawing scenes while questions are learned, after the stage prior
            share=1.0,  # of the training subjects that questions are made of
            stream=False,  # whether questions are made while training, or beforehand
        ),
        # Understanding's images: numbers of a content token, channels, pixels for a token, look.
        encoder=dict(
            kind="cnn", features=16, width=64, patch=4, depth=4, heads=4, look=32, look_width=16
        ),
        expert=dict(width=96, depth=4, heads=6, pairs=6, size=16, hidden=256, near=True),
        # One autoencoder for all modalities: a folder of msflow convert-vae, or "patches"; "": pixels.
        latent=latent_settings(),
        patch=4,  # side of a patch of what is drawn, in pixels or latents
        pooled=4,  # tokens along an axis of an image of a question
        prediction="velocity",  # or "data"
        time=UNIFORM,
        named=0.0,  # share of images drawn without pairs whose name stands for their look
        noise=0.1,
        dtype="float32",
        remat=False,
        resize=0,
        dropout=dict(words=0.1, latents=0.3, content=0.3),
        frozen=True,  # whether understanding stays as it is while drawing learns from pairs
        # Share of the training subjects that drawing learns from, to ask what understanding saves.
        pairs=1.0,
        augment=dict(shifted=0.0, far=0.1, changed=0.0, strength=0.4),
        distillation=dict(**distillation.SETTINGS, image_guidance=1.0),
        **control_settings(),
    )


def sample_settings() -> dict[str, Any]:
    """The defaults of the part ``sample``."""
    return dict(
        translate=dict(
            draws=8, steps=10, solver="euler", shift=1.0, guidance=1.0, image_guidance=1.0
        ),
        classify=dict(CLASSIFIED),
        answer=dict(count=512),
        evaluate=evaluate_settings(),
    )


def all_routes(config: ConfigDict) -> tuple[tuple[str, str], ...]:
    """All routes between two modalities of a part ``model`` but for those withheld, in order.

    Raises:
        ValueError: what is withheld is no route, or nothing is left.
    """
    withheld = {parse_route(text, config) for text in config.tasks.withhold}
    names = config.modalities
    found = tuple((a, b) for a in names for b in names if a != b and (a, b) not in withheld)
    if not found:
        raise ValueError(
            f"model.modalities={tuple(names)} and model.tasks.withhold leave no route to learn: name at "
            "least two modalities"
        )
    return found


_ASKED = Only("model.stages", ("understand", "mixed"))
_DRAWN = Only("model.stages", ("reconstruct", "generate", "mixed"))
_PAIRED = Only("model.stages", ("generate", "mixed"))
_ALONE = Only("model.stages", ("reconstruct",))
# Noise that the classifier's head learns with at most. Content tokens have unit mean square: what hides
# the modality from a drawing, 100 in a control, would hide the class as well.
LABEL_NOISE = 0.1
_VIT = Only("model.encoder.kind", ("vit",))
LIMITS = {
    **PAIRED_LIMITS,
    **distillation.LIMITS,
    "train.shift": Only(why="images are moved as model.augment says"),
    **{f"model.lengths.{one}": Only("model.stages", (one,)) for one in STAGES},
    **{
        f"model.tasks.{one}": _ASKED
        for one in ("instances", "reach", "places", "letters", "share", "stream")
    },
    "model.tasks.scenes": Only("model.stages", ("prior",)),
    "model.encoder.depth": _VIT,
    "model.encoder.heads": _VIT,
    "model.named": _ALONE,
    "model.noise": Only("model.stages", ("reconstruct", "classify")),
    "model.frozen": Only("model.stages", ("generate",)),
    "model.pairs": _DRAWN,
    "model.dropout.latents": _PAIRED,
    "model.augment.changed": _PAIRED,
    "model.augment.strength": Only("model.augment.changed"),
    "model.augment.far": Only("model.augment.shifted"),
    "sample.classify.": Only("model.stages", ("classify",)),
    "train.calibrate_every": Only("model.stages", ("classify",)),
}
TABLE: dict[str, Setting] = {
    "model.family": Setting("", "kind of flow"),
    "model.modalities": Setting("", "registered modalities of a cohort that are seen and drawn"),
    "model.stages": Setting(
        "", "of prior, understand, reconstruct, generate, mixed, classify, in this order"
    ),
    "model.lengths.prior": Setting("(0, inf)", "steps of drawing scenes over train.steps"),
    "model.lengths.understand": Setting("(0, inf)", "steps of understanding over train.steps"),
    "model.lengths.reconstruct": Setting(
        "(0, inf)", "steps of drawing without pairs over train.steps"
    ),
    "model.lengths.generate": Setting("(0, inf)", "steps of drawing from pairs over train.steps"),
    "model.lengths.mixed": Setting("(0, inf)", "steps of both at once over train.steps"),
    "model.lengths.classify": Setting("(0, inf)", "steps of the classifier over train.steps"),
    "model.tasks.arm": Setting(" or ".join(ARMS), "what understanding is trained on"),
    "model.tasks.instances": Setting(COUNT, "different questions"),
    "model.tasks.withhold": Setting("", "routes source-target of no question and of no pair"),
    "model.tasks.reach": Setting(COUNT, "how many slices away wrong candidates are, from and to"),
    "model.tasks.places": Setting(
        "[0, inf)", "weight of telling the places of all candidates apart"
    ),
    "model.tasks.letters": Setting("(0, 1]", "share of the questions that the expert reads"),
    "model.tasks.temperature": Setting("(0, inf)", "temperature of direct answers"),
    "model.tasks.share": Setting("(0, 1]", "share of the training subjects that is asked about"),
    "model.tasks.stream": Setting("", "whether questions are made while training (needs grain)"),
    "model.tasks.scenes": Setting(COUNT, "scenes of the stage prior"),
    "model.tasks.replay": Setting("[0, inf)", "weight of scenes while questions are learned"),
    "model.encoder.kind": Setting("cnn or vit", "encoder of content"),
    "model.encoder.features": Setting(COUNT, "numbers of a content token"),
    "model.encoder.width": Setting(
        COUNT, "channels of a vit's tokens, or of a cnn's last convolutions"
    ),
    "model.encoder.patch": Setting(COUNT, "pixels for a content token along a side; of a cnn 2^n"),
    "model.encoder.depth": Setting(COUNT, "vit: blocks"),
    "model.encoder.heads": Setting(COUNT, "vit: heads of attention; they divide its channels"),
    "model.encoder.look": Setting(COUNT, "numbers of an appearance"),
    "model.encoder.look_width": Setting(COUNT, "channels of the first level of its encoder"),
    "model.expert.width": Setting(COUNT, "channels of a token of both experts; divisible by 4"),
    "model.expert.depth": Setting(COUNT, "layers"),
    "model.expert.heads": Setting(COUNT, "heads of queries"),
    "model.expert.pairs": Setting(COUNT, "heads of keys and values; they divide those of queries"),
    "model.expert.size": Setting(COUNT, "channels of a head; even"),
    "model.expert.hidden": Setting(COUNT, "channels of the gated MLP"),
    "model.expert.near": Setting("", "whether most heads begin at their own place in an image"),
    "model.latent.autoencoder": Setting(
        "", "folder of msflow convert-vae, or patches, for all modalities; empty: pixels"
    ),
    "model.patch": Setting(COUNT, "side of a patch of what is drawn, in pixels or latents"),
    "model.pooled": Setting(COUNT, "tokens along an axis of an image of a question"),
    "model.prediction": Setting(
        "velocity or data", "what drawing predicts: the velocity of the path, or the image"
    ),
    "model.time": Setting(" or ".join(TIMES), "how the times of training are drawn"),
    "model.named": Setting(
        "[0, 1]", "share of images drawn without pairs whose name stands for their look"
    ),
    "model.noise": Setting(
        "[0, inf)",
        f"deviation of noise on content while drawing without pairs; in classify at most {LABEL_NOISE}",
    ),
    "model.dtype": Setting("float32 or bfloat16", "what the networks compute in"),
    "model.remat": Setting("", "recompute layers in the backward pass, to save memory"),
    "model.resize": Setting("[0, 16384]", "side of what is drawn; 0: as the images are"),
    "model.dropout.words": Setting("[0, 1)", "share of examples without instruction and name"),
    "model.dropout.latents": Setting("[0, 1)", "share without the source's latents"),
    "model.dropout.content": Setting("[0, 1)", "share without the source's content"),
    "model.frozen": Setting("", "whether understanding stays as it is in the stage generate"),
    "model.pairs": Setting(
        "(0, 1]", "share of the training subjects that drawing, and model.regression, learn from"
    ),
    "model.augment.shifted": Setting("[0, 1]", "share of examples that are moved, pairs alike"),
    "model.augment.far": Setting("[0, 1)", "largest shift, of the side"),
    "model.augment.changed": Setting("[0, 1]", "share of sources of another intensity"),
    "model.augment.strength": Setting("[0, 1]", "how much these change"),
    **distillation.TABLE,
    "model.distillation.image_guidance": Setting(
        "(0, inf)", "guidance by the source that is learned of the teacher; 1: none"
    ),
    "sample.translate.draws": Setting(COUNT, "draws of a translation"),
    "sample.translate.steps": Setting(COUNT, "steps of the solver"),
    "sample.translate.solver": Setting(
        "", "solver of the equation; for model.prediction=data euler, or jump of a distilled model"
    ),
    "sample.translate.shift": Setting(
        "(0, inf)", "above 1, steps are shorter near noise and longer near the image"
    ),
    "sample.translate.guidance": Setting("[0, inf)", "weight of the target's name; 1: as trained"),
    "sample.translate.image_guidance": Setting("[0, inf)", "weight of the source; 1: as trained"),
    **CLASSIFYING,
    "sample.answer.count": Setting(COUNT, "questions that an evaluation asks"),
    **PAIRED,
}
