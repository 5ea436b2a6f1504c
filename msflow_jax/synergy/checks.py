"""Settings of SynerMedGen that contradict one another, or that no network has."""

from ml_collections import ConfigDict

from msflow_jax.streams import JUMP
from msflow_jax.synergy.settings import ARMS, RANDOM, STAGES

EULER = "euler"
GUIDANCE = ("guidance", "image_guidance")  # settings that weigh a condition


def check_stages(model: ConfigDict) -> None:
    """Refuses stages and arms of a part ``model`` that do not exist or contradict one another.

    Raises:
        ValueError: such a one.
    """
    chosen = list(model.stages)
    if not chosen or chosen != [one for one in STAGES if one in chosen]:
        raise ValueError(
            f"model.stages={tuple(chosen)}: name some of {', '.join(STAGES)}, in this order"
        )
    if not set(chosen) - {"understand", "classify"}:
        raise ValueError(f"model.stages={tuple(chosen)} draws nothing: add generate or reconstruct")
    if model.tasks.arm == RANDOM and {"prior", "mixed"} & set(chosen):
        raise ValueError(
            f"model.tasks.arm={RANDOM!r} learns nothing, which prior and mixed would change: "
            "take them out of model.stages"
        )
    if model.tasks.replay and not {"prior", "understand"} <= set(chosen):
        raise ValueError(
            f"model.tasks.replay={model.tasks.replay:g} needs model.stages with prior and understand"
        )
    if model.tasks.arm == RANDOM and not model.frozen:
        raise ValueError(
            f"model.tasks.arm={RANDOM!r} learns nothing, which model.frozen=False would change"
        )
    if model.tasks.arm not in ARMS:
        raise ValueError(f"model.tasks.arm={model.tasks.arm!r}: choose one of {', '.join(ARMS)}")
    if len(reach := tuple(model.tasks.reach)) != 2 or not 1 <= reach[0] <= reach[1]:
        raise ValueError(f"model.tasks.reach={reach}: two numbers of slices, fewest and most")


def unguided(model: ConfigDict) -> tuple[str, ...]:
    """Settings of guidance whose condition training never leaves out."""
    drop, stages = model.dropout, set(model.stages)
    paired = stages & {"generate", "mixed"}
    drops = paired or "reconstruct" in stages  # scenes are always whole
    words = drops and drop.words
    image = drops and drop.content and (drop.latents or not paired)
    return tuple(name for name, left in zip(GUIDANCE, (words, image), strict=True) if not left)


def check_networks(model: ConfigDict) -> None:
    """Refuses sizes of a part ``model`` that no network has.

    Raises:
        ValueError: such a one.
    """
    expert = model.expert
    if expert.width % 4 or expert.size % 2 or expert.heads % expert.pairs:
        raise ValueError(
            f"model.expert: width {expert.width} must be divisible by 4, size {expert.size} by 2, "
            f"and pairs {expert.pairs} must divide heads {expert.heads}"
        )
    patch = model.encoder.patch
    if model.encoder.kind not in ("cnn", "vit") or (
        model.encoder.kind == "cnn" and patch & (patch - 1)
    ):
        raise ValueError(
            f"model.encoder: kind {model.encoder.kind!r} is cnn or vit, and the patch {patch} of a "
            "cnn a power of 2"
        )
    if model.encoder.kind == "vit" and model.encoder.width % model.encoder.heads:
        raise ValueError(
            f"model.encoder.heads={model.encoder.heads} do not divide its width, "
            f"{model.encoder.width}"
        )


def follows(prediction: str, solver: str) -> bool:
    """Whether a solver draws what a model predicts.

    Of a predicted image the velocity is the way there over the time that is left. Only Euler's steps and
    jumps never look at the end, where none is left: by others noise of the start stays in the image.
    """
    return prediction != "data" or solver in (EULER, JUMP)


def check_prediction(prediction: str, solver: str, name: str = "solver") -> None:
    """Refuses a solver that does not draw what a model predicts, see :func:`follows`.

    Args:
        prediction: of the model.
        solver: that is chosen.
        name: of the setting that chooses it.

    Raises:
        ValueError: such a one.
    """
    if not follows(prediction, solver):
        raise ValueError(
            f"{name}={solver!r} leaves noise in what is drawn by a model that predicts images "
            f"(model.prediction='data'): choose {EULER!r}, with more steps if need be"
        )


def restored(config: ConfigDict) -> list[str]:
    """Changes the solver of a kept run that is refused now; a line where there is one."""
    drawn = config.sample.translate
    if follows(config.model.prediction, before := drawn.solver):
        return []
    from msflow_jax.ode import SOLVERS  # diffrax takes a second to import

    if before not in SOLVERS:  # what never was one is refused as it is
        return []
    drawn.solver = EULER
    return [
        f"sample.translate.solver={before!r} left noise in what this model drew, which predicts images "
        f"(model.prediction='data'): it draws by {EULER!r} now"
    ]
