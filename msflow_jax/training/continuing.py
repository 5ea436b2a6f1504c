"""A run that is made longer, and one that starts from the parameters of another."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict

from msflow_jax.settings import leaves
from msflow_jax.storage.checkpoints import exist
from msflow_jax.training.fitted import warn_of_parts
from msflow_jax.training.optimiser import one_cycle
from msflow_jax.training.stage import Params, Stage, total_steps

_SHOWN = 4  # arrays or settings in a line


def check_length(then: ConfigDict, now: ConfigDict, examples: int, run: Path) -> None:
    """Refuse to make a run shorter.

    Args:
        then: train part of the configuration that the run began with.
        now: the one that it is to go on with.
        examples: size of the training set.
        run: workdir of the run, for the message.

    Raises:
        ValueError: the run would become shorter, or its length is not known.
    """
    if (then.steps, then.epochs) == (now.steps, now.epochs):
        return
    before, after = (total_steps(config, examples) for config in (then, now))
    if after < before or not (examples or (then.steps and now.steps)):
        raise ValueError(
            f"{run} holds a run of {_length(then)}, not of {_length(now)}: a run can be made longer, "
            "not shorter; use another --workdir, or evaluate what is there: "
            f"msflow evaluate --workdir={run}"
        )


def _length(config: ConfigDict) -> str:
    return f"{config.steps} steps" if config.steps else f"{config.epochs:g} epochs"


def describe_length(then: ConfigDict, now: ConfigDict, examples: int, reached: int) -> str:
    """What making a run longer does to its learning rate, in words; empty where it stays as it was.

    The schedule is that of the new length, from the step that is reached on: the rate rises once more to
    where it would then be. The run is not the one that had this length from the start.

    Args:
        then: train part of the configuration that the run began with.
        now: the one that it goes on with.
        examples: size of the training set.
        reached: step of the newest checkpoint.
    """
    before, after = (total_steps(config, examples) for config in (then, now))
    if before == after:
        return ""
    old, new = one_cycle(then, before), one_cycle(now, after)
    return (
        f"made longer, from {before} to {after} steps: after step {reached} the learning rate follows "
        f"the schedule of {after} steps, {float(new(reached)):.2g} instead of "
        f"{float(old(min(reached, before))):.2g}"
    )


@dataclass(frozen=True)
class Taken:
    """Parameters of another run that fit this one.

    Attributes:
        source: workdir that they are of.
        step: their training step.
        leaves: arrays by path.
        total: number of arrays of this run's model.
        rest: paths of arrays of this run that start fresh, with why.
    """

    source: str
    step: int
    leaves: Mapping[tuple[str, ...], Any]
    total: int
    rest: tuple[str, ...]

    def __str__(self) -> str:
        """One line on what was and was not taken."""
        fresh = ", ".join(self.rest[:_SHOWN]) + (", ..." if len(self.rest) > _SHOWN else "")
        return (
            f"starts from {self.source} (step {self.step}): {len(self.leaves)} of {self.total} arrays "
            f"taken{'; fresh: ' if fresh else ''}{fresh}"
        )

    def to_dict(self) -> dict[str, Any]:
        """What the manifest keeps of it."""
        return {
            "workdir": self.source, "step": self.step, "taken": len(self.leaves),
            "fresh": list(self.rest),
        }  # fmt: skip


def warn_of_others(
    source: Any, there: ConfigDict, here: ConfigDict, parts_there: Any = None, parts: Any = None
) -> None:
    """Warns of settings and parts of a run to start from that give its parameters another meaning here.

    Args:
        source: workdir of that run.
        there: its configuration.
        here: the configuration of this run.
        parts_there: parts of that run; where they were compared, their settings need no word.
        parts: the parts of this run.
    """
    compared = warn_of_parts(source, parts_there, parts)
    own = here.train.calibrate_every
    if own and there.train.calibrate_every != own:
        warnings.warn(
            f"{source} was chosen by validation images that this run keeps for conformal sets: of the "
            "same data their rate may be lower (train.calibrate_every)",
            stacklevel=3,
        )
    before, now = (dict(leaves(one.model, "model.")) for one in (there, here))
    other = [k for k in now if k in before and before[k] != now[k] and k not in compared]
    if other:
        # Arrays of one name and shape, that other settings read otherwise, are taken all the same.
        named = ", ".join(f"{k}={now[k]!r} ({before[k]!r} there)" for k in other[:_SHOWN])
        more = f", and {len(other) - _SHOWN} more" if len(other) > _SHOWN else ""
        warnings.warn(
            f"{source} was trained with other settings of the model than this run has: {named}{more}",
            stacklevel=3,
        )


def take(source: str, step: int, params: Params, shapes: Params) -> Taken:
    """The parameters of another run that have the name and shape of one of this run.

    Args:
        source: workdir that they are of.
        step: their training step.
        params: tree of nested dicts.
        shapes: tree of ``jax.ShapeDtypeStruct`` of this run's model.

    Raises:
        ValueError: none has.
    """
    there, here = flatten_dict(params), flatten_dict(shapes)
    leaves, rest = {}, []
    for path, leaf in here.items():
        if path not in there:
            rest.append(f"{'/'.join(path)} (not there)")
        elif there[path].shape != leaf.shape:
            rest.append(f"{'/'.join(path)} ({there[path].shape} there, {leaf.shape} here)")
        else:
            leaves[path] = there[path].astype(leaf.dtype)
    if not leaves:
        raise ValueError(
            f"train.init={source}: none of its arrays has the name and shape of one of this model "
            f"({', '.join(rest[:_SHOWN])}): leave it out, or choose a run of a like network"
        )
    return Taken(source, step, leaves, len(here), tuple(rest))


def begin_with(taken: Taken, stages: Sequence[Stage], workdir: Path) -> list[Stage]:
    """The stages, where those that have no checkpoint yet start from what was taken.

    Arrays of the stages before stay as those have trained them.
    """

    def replaced(stage: Stage) -> Stage:
        def start(so_far: Params) -> Params:
            before = flatten_dict(so_far)
            fresh = flatten_dict(stage.start(so_far), keep_empty_nodes=True)
            mixed = {
                path: leaf if path in before else taken.leaves.get(path, leaf)
                for path, leaf in fresh.items()
            }
            return unflatten_dict(mixed)

        return dataclasses.replace(stage, start=start)

    return [one if exist(one.folder(workdir)) else replaced(one) for one in stages]
