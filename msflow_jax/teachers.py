"""What a run that distils another takes from it, and keeps: its workdir then needs the other no more."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from msflow_jax.data import Splits
from msflow_jax.families import Family
from msflow_jax.inference.flow import Flow
from msflow_jax.settings import leaves
from msflow_jax.storage import facts, weights
from msflow_jax.storage.places import expand
from msflow_jax.training.distillation import ITSELF
from msflow_jax.training.stage import Stage
from msflow_jax.workdir import open_workdir, plain

_FACTS = "teacher.json"


@dataclass(frozen=True)
class Teacher:
    """The run that another one distils, opened."""

    flow: Flow

    def keep(self, path: Path) -> None:
        """Writes the parameters that it draws with into a run's workdir, which needs it no more."""
        flow = self.flow
        own = self._own(flow.drawing_params)
        said = {"workdir": str(flow.path), "step": flow.drawing_step, "data": flow.info.name}
        weights.save(path / facts.TEACHER, _FACTS, said, own)

    def classifying(self, stages: Sequence[Stage]) -> list[Stage]:
        """Stages that begin as it draws, and may classify as it does by another of its checkpoints."""
        if self.flow.drawing_step == self.flow.step:
            return list(stages)
        own = self._own(self.flow.params)
        return [replace(one, alternative=own) if one.trained else one for one in stages]

    def _own(self, params: Any) -> Any:
        """Without what no stage trains."""
        return {name: leaf for name, leaf in params.items() if name not in self.flow.parts.params}


def open_teacher(config: ConfigDict) -> Teacher | None:
    """The run that a fresh configuration names as its teacher; None without one.

    Raises:
        FileNotFoundError: no workdir there, or no checkpoint in it.
        ValueError: it is of another family or network, or distilled itself.
    """
    name = config.model.get("distillation", {}).get("teacher", "")
    if name in ("", ITSELF):
        return None
    flow = open_workdir(expand(name), calibrated=False)
    then, now = (dict(leaves(one.model.to_dict())) for one in (flow.config, config))
    if before := then.get("distillation.teacher", ""):
        remedy = "it draws in few steps already" if before == ITSELF else f"distil {before}"
        raise ValueError(f"{name} is distilled itself: {remedy}")
    # The student may be the teacher itself: images that chose it would be taken for ones that chose
    # nothing, its prior for another, and it would see other windows of images.
    for key in ("calibrate_every", "balanced", "crop"):
        kept, own = (plain(one.train.get(key)) for one in (flow.config, config))
        if kept != own:
            raise ValueError(f"{name} has train.{key}={kept}, not {own}: leave it as that")
    for key in sorted(then.keys() | now.keys()):
        a, b = plain(then.get(key)), plain(now.get(key))
        part = key.partition(".")[0]
        if part != "distillation" and facts.matters(f"config.model.{key}") and a != b:
            raise ValueError(f"{name} has model.{key}={a}, not {b}: leave it as the teacher's")
    return Teacher(flow)


def parts(
    teacher: Teacher | None, family: Family, config: ConfigDict, splits: Splits, run: Path | None
) -> Any:
    """What a model needs beside its own parameters: the teacher's, a run's own, or fresh.

    Args:
        teacher: of a fresh run that distils another.
        family: family of the run.
        config: whole configuration of the run.
        splits: its data.
        run: workdir of a run that goes on; None for a fresh one.
    """
    if teacher:
        return teacher.flow.parts
    return family.load(config, splits.info, run) if run else family.prepare(config, splits)


def forget(path: Path) -> None:
    """Removes what a run that failed before its first checkpoint left of its teacher."""
    shutil.rmtree(path / facts.TEACHER, ignore_errors=True)


def read_teacher(path: Path) -> Any:
    """Parameters of the teacher that a workdir keeps, in a tree under ``teacher``; empty without one."""
    if not (path / facts.TEACHER).is_dir():
        return {}
    return {facts.TEACHER: weights.load_params(path / facts.TEACHER)}
