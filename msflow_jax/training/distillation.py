"""Distilling a velocity field into a flow map, which draws in a few jumps. Knows no family.

The map is learned by an identity of :mod:`msflow_jax.training.flow_maps`, anchored by the family's own
loss on half of each batch: the student stays a field too, and classifies as before. Where the teacher's
field is guided, that is the field which the student becomes, learned from the teacher by jumps of no
length.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from msflow_jax.settings import Only, Setting
from msflow_jax.storage.facts import TEACHER
from msflow_jax.streams import JUMP
from msflow_jax.training.flow_maps import LAGRANGIAN, OBJECTIVES, Jumped, map_loss
from msflow_jax.training.stage import Stage

Params = Any
Loss = Callable[..., tuple[jax.Array, dict[str, jax.Array]]]
ITSELF = (
    "itself"  # a student that is its own teacher; others' parameters stand in the tree, untrained
)
STUDENT = rf"(?!{TEACHER}/).*"  # the leaves that are trained
# Part ``model.distillation`` of a configuration.
SETTINGS: dict[str, Any] = dict(
    teacher="", objective=LAGRANGIAN, weight=1.0, power=0.5, guidance=1.0
)
TABLE: dict[str, Setting] = {
    "model.distillation.teacher": Setting(
        "", f"workdir that is distilled into few steps, or {ITSELF}; empty: none"
    ),
    "model.distillation.objective": Setting(" or ".join(OBJECTIVES), "how jumps are learned"),
    "model.distillation.weight": Setting("(0, inf)", "weight of the jumps in the loss"),
    "model.distillation.power": Setting("[0, 1]", "power of an error by which it is divided"),
    "model.distillation.guidance": Setting(
        "(0, inf)", "guidance of the teacher that is learned; 1: none"
    ),
}
LIMITS = {"model.distillation.": Only("model.distillation.teacher")}


def check(settings: ConfigDict, unguided: Sequence[str] = ()) -> None:
    """Refuses an objective that does not exist, numbers out of range, and guidance that cannot be.

    Args:
        settings: part ``model.distillation``.
        unguided: weights of guidance whose condition training never leaves out.

    Raises:
        ValueError: such a one.
    """
    if settings.objective not in OBJECTIVES:
        raise ValueError(
            f"model.distillation.objective={settings.objective!r}: choose one of "
            f"{', '.join(OBJECTIVES)}"
        )
    if not (settings.weight > 0 and 0 <= settings.power <= 1):
        raise ValueError(
            "model.distillation needs weight > 0 and power in [0, 1], got "
            f"{settings.weight} and {settings.power}"
        )
    own = settings.teacher in ("", ITSELF)
    if guided(settings) and (settings.objective != LAGRANGIAN or own):
        raise ValueError(
            "model.distillation: guidance is learned from a teacher, with objective='lagrangian'"
        )
    for name, weight in weights_of_guidance(settings).items():
        if weight <= 0:
            raise ValueError(f"model.distillation.{name} must be above 0, got {weight:g}")
    for name in unguided:
        if settings[name] != 1:
            raise ValueError(
                f"model.distillation.{name}={settings[name]:g}, but the teacher never drew without what "
                "it weighs: set it to 1"
            )


def check_solver(
    config: ConfigDict, verb: str, solvers: Sequence[str], *, jumps: bool = False
) -> None:
    """Refuses a solver of a verb that there is not, and guidance of what jumps.

    Args:
        config: whole configuration.
        verb: name of its settings in the part ``sample``.
        solvers: those that there are.
        jumps: whether a distilled model jumps here.

    Raises:
        ValueError: such a one.
    """
    settings = config.sample[verb]
    known = (*solvers, *((JUMP,) if jumps and config.model.distillation.teacher else ()))
    if settings.solver not in known:
        raise ValueError(
            f"unknown sample.{verb}.solver {settings.solver!r}: choose one of {', '.join(known)}"
        )
    learned = guided(config.model.distillation)
    for name, weight in weights_of_guidance(settings).items():
        if weight != 1 and (settings.solver == JUMP or learned):
            why = "a model with guidance in it" if learned else f"sample.{verb}.solver='jump'"
            raise ValueError(f"{why} needs sample.{verb}.{name}=1, not {weight:g}")


def guided(settings: ConfigDict) -> bool:
    """Whether the field that is distilled is a guided one, by any weight of the settings."""
    return any(weight != 1 for weight in weights_of_guidance(settings).values())


def weights_of_guidance(settings: ConfigDict) -> dict[str, float]:
    """The weights of guidance among some settings, by their names."""
    return {name: weight for name, weight in settings.items() if name.endswith("guidance")}


def distilled(
    stage: Stage,
    jumped: Callable[[Params, Params | None, Mapping[str, jax.Array], jax.Array], Jumped],
    settings: ConfigDict,
) -> Stage:
    """The stage of a family that also learns jumps; as it was, where the settings name no teacher.

    Args:
        stage: what trains the model from fresh parameters.
        jumped: as of :func:`distillation_loss`.
        settings: part ``model.distillation``.
    """
    if not settings.teacher:
        return stage

    def start(so_far: Params) -> Params:
        fresh = stage.start({})
        return start_from(so_far[TEACHER], fresh) if TEACHER in so_far else fresh

    loss = distillation_loss(stage.loss, jumped, settings)
    # Its start classifies as the teacher does: what has not learned to do it better does not replace it.
    trained = settings.teacher != ITSELF
    return dataclasses.replace(stage, loss=loss, start=start, trains=STUDENT, trained=trained)


def distillation_loss(
    anchor: Loss | None,
    jumped: Callable[[Params, Params | None, Mapping[str, jax.Array], jax.Array], Jumped],
    settings: ConfigDict,
    shift: float = 1.0,
) -> Loss:
    """The loss of a stage that distils: one half of a batch is anchored, the other half jumps.

    Args:
        anchor: the family's loss, ``(params, batch, key, *, train)``; None, of a guided field: all of
            the batch jumps.
        jumped: ``(student's parameters, teacher's or None, batch, key) -> Jumped``.
        settings: part ``model.distillation``.
        shift: of the jumps that will draw, see :func:`~msflow_jax.training.flow_maps.jump_times`.

    Returns:
        ``loss(params, batch, key, *, train)``, where a teacher's parameters stand under ``teacher``.
    """

    def learn(found: Jumped, key: jax.Array, batch: Mapping[str, jax.Array]) -> jax.Array:
        return map_loss(
            found,
            key,
            settings.objective,
            settings.power,
            batch.get("mask"),
            guided(settings),
            shift,
        )

    def loss(
        params: Params, batch: Mapping[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        k_anchor, k_data, k_times = jax.random.split(key, 3)
        own = without_teacher(params)
        if anchor is None:
            found = jumped(own, params.get(TEACHER), batch, k_data)
            error = learn(found, k_times, batch)
            return settings.weight * error, {"loss_map": error}
        if len(jax.tree.leaves(dict(batch))[0]) < 2:
            raise ValueError(
                "one half of a batch jumps, the other is anchored, and here it (or a part of it, by "
                "train.accumulate) is one example: raise --config.train.batch or lower "
                "--config.train.accumulate"
            )
        # Every second example: each device keeps its own.
        first, second = (jax.tree.map(lambda x, i=i: x[i::2], dict(batch)) for i in range(2))
        total, metrics = anchor(own, first, k_anchor, train=train)
        found = jumped(own, params.get(TEACHER), second, k_data)
        error = learn(found, k_times, second)
        return total + settings.weight * error, {**metrics, "loss_map": error}

    return loss


def without_teacher(params: Params) -> Params:
    """A tree without the teacher that stands in it."""
    return {name: leaf for name, leaf in params.items() if name != TEACHER}


def start_from(teacher: Params, fresh: Params) -> Params:
    """The student's parameters: those of its teacher, and fresh ones, zeros, for how far it jumps.

    Raises:
        ValueError: the teacher is of another network.
    """
    from flax.traverse_util import flatten_dict, unflatten_dict

    theirs, own = flatten_dict(teacher), flatten_dict(fresh)
    new = {path for path in own if "span_zero" in path}
    if (wrong := sorted((own.keys() - new) ^ theirs.keys())) or not new:
        raise ValueError(
            f"model.distillation.teacher is of another network ({'/'.join(wrong[0]) if wrong else ''}"
            "): leave model.net as the teacher's"
        )
    return unflatten_dict({path: theirs.get(path, leaf) for path, leaf in own.items()})
