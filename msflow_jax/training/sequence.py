"""Stages of training one after the other, and what they leave: the tree that a workdir holds."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from msflow_jax.parallel.sharding import on_host
from msflow_jax.storage.atomic import write_atomically
from msflow_jax.storage.beside import reading
from msflow_jax.storage.checkpoints import Checkpoints, exist
from msflow_jax.storage.parameters import digest_of_stages, saved_digest
from msflow_jax.training.loop import fit
from msflow_jax.training.stage import Params, Stage, stage_folder, update

NOTE = "stages.json"


def run_stages(
    stages: Sequence[Stage],
    workdir: Path,
    progress: bool = True,
    params: Params | None = None,
    made: Mapping[str, Any] | None = None,
) -> Params:
    """Train the stages in order; a finished one is skipped, a killed one goes on.

    Args:
        stages: the stages, with names that differ.
        workdir: folder of the whole run.
        progress: whether to draw progress bars.
        params: tree that the first stage starts from, for instance weights that no stage trains; by
            default empty.
        made: what the workdir says of the run, kept beside each checkpoint.

    Returns:
        The whole tree on the host, with the leaves of each stage's best checkpoint.

    Raises:
        ValueError: as of :func:`msflow_jax.training.fit`; also a name that is used twice, or ``""``
            beside others.
        Preempted: SIGTERM came; the state is saved, and the same call goes on from there.
        Stopped: the loss of a stage is not finite.
    """
    _note(stages, Path(workdir))
    so_far = params or {}
    for number, stage in enumerate(stages, 1):
        if progress and stage.name and jax.process_index() == 0:
            print(f"stage {number} of {len(stages)}: {stage.name}", flush=True)
        trained = _finished(stage, workdir)
        if trained is None:
            fit(stage, workdir, so_far, progress=progress, made=made)
            trained = _best(stage.folder(workdir), stage.config.select)[1]
        so_far = update(so_far, on_host(trained))
    return so_far


def read_params(
    workdir: Path,
    select: str,
    upto: str | None = None,
    params: Params | None = None,
    *,
    drawing: bool = False,
) -> tuple[int, Params]:
    """``(step, parameters to use)`` of a workdir, see :func:`read_digested`."""
    return read_digested(workdir, select, upto, params, drawing=drawing)[:2]


def read_digested(
    workdir: Path,
    select: str,
    upto: str | None = None,
    params: Params | None = None,
    *,
    drawing: bool = False,
) -> tuple[int, Params, str]:
    """``(step, parameters to use, their digest)``: the best of each stage that has a checkpoint.

    Args:
        workdir: folder of the whole run.
        select: metric that picks the best checkpoint of a workdir with a single stage; where there are
            several, it is noted for each.
        upto: name of the last stage to read; None for the last that has a checkpoint.
        params: tree that the first stage started from, as for :func:`run_stages`.
        drawing: whether the last stage's is the one that draws best, not the one that classifies best.

    Raises:
        FileNotFoundError: there is no checkpoint (never random weights).
        ValueError: there is no stage of that name, or a checkpoint cannot be read.
    """
    step, so_far, stages = 0, params or {}, _stages_to_read(workdir, select, upto)
    digests = {}
    for name, metric in stages.items():
        last = name == list(stages)[-1]
        folder = stage_folder(workdir, name)
        step, trained, digests[name] = _best(folder, metric, drawing and last)
        so_far = update(so_far, trained)
    if params or len(saved_stages(workdir)) > 1:
        # A stage comes back on the devices it was trained on, the given tree lies on one.
        so_far = jax.device_put(on_host(so_far))
    return step, so_far, digest_of_stages(digests)


def read_drawing(
    workdir: Path, select: str, step: int, upto: str | None = None
) -> tuple[int, Params] | None:
    """What :func:`read_params` reads for drawing, if it is not of this step of the last stage.

    Args:
        workdir: folder of the whole run.
        select: as for :func:`read_params`.
        step: step that :func:`read_params` gave.
        upto: as for :func:`read_params`.
    """
    name, metric = list(_stages_to_read(workdir, select, upto).items())[-1]
    best = reading(stage_folder(workdir, name), metric, lambda kept: kept.best_drawing())
    if best == step:
        return None
    return read_params(workdir, select, upto, drawing=True)


def checkpoints_to_use(workdir: Path, select: str) -> list[Path]:
    """Folders of the checkpoints that :func:`read_params` and :func:`read_drawing` read.

    Args:
        workdir: folder of the whole run.
        select: as for :func:`read_params`.
    """
    found: list[Path] = []
    for name, metric in _stages_to_read(workdir, select, None).items():
        folder = stage_folder(workdir, name)
        both = reading(folder, metric, lambda kept: (kept.best(), kept.best_drawing()))
        found += [folder / "checkpoints" / str(step) for step in sorted(set(both))]  # type: ignore
    return found


def steps_used(workdir: Path, select: str) -> list[int]:
    """The step of each stage at which :func:`read_params` reads it; one without named stages.

    Args:
        workdir: folder of the whole run.
        select: as for :func:`read_params`.
    """
    stages = _stages_to_read(workdir, select, None)
    return [
        reading(stage_folder(workdir, name), metric, lambda kept: kept.best())  # type: ignore
        for name, metric in stages.items()
    ]


def _stages_to_read(workdir: Path, select: str, upto: str | None) -> dict[str, str]:
    """The stages up to one, or to the last that has a checkpoint, with the metric of each."""
    selects = saved_stages(workdir) or {"": select}
    if upto is not None and upto not in selects:
        named = ", ".join(repr(name) for name in selects if name)
        there = f"its stages are {named}" if named else "it was trained in one, without a name"
        raise ValueError(f"{workdir} has no stage {upto!r}: {there}")
    chosen: dict[str, str] = {}
    for name, metric in selects.items():
        if chosen and upto is None and not exist(stage_folder(workdir, name)):
            break
        chosen[name] = metric
        if name == upto:
            break
    return chosen


def saved_stages(workdir: Path) -> dict[str, str]:
    """The metric that picks the best checkpoint by the names of a workdir's stages, in order.

    Args:
        workdir: folder of the whole run.

    Returns:
        An empty dict for a workdir with a single stage.

    Raises:
        ValueError: the note about them is damaged.
    """
    path = Path(workdir) / NOTE
    try:
        return {
            str(name): str(select) for name, select in json.loads(path.read_text(encoding="utf-8"))
        }
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): restore it from a copy") from error


def unreached_stages(workdir: Path) -> list[str]:
    """Names of the stages of a workdir that have no checkpoint yet, in order.

    Args:
        workdir: folder of the whole run.
    """
    return [name for name in saved_stages(workdir) if not exist(stage_folder(workdir, name))]


def _note(stages: Sequence[Stage], workdir: Path) -> None:
    """Writes the order of the stages, which a reader of the workdir needs."""
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names) or ("" in names and len(names) > 1):
        raise ValueError(f"several stages need names of their own, got {names}")
    for stage in stages:
        stage.folder(workdir)  # a name that cannot be a folder's
    if names != [""] and jax.process_index() == 0:
        rows = [[stage.name, stage.config.select] for stage in stages]
        write_atomically(workdir / NOTE, (json.dumps(rows) + "\n").encode())


def _finished(stage: Stage, workdir: Path) -> Params | None:
    """The best trained leaves of a stage whose last step is saved, else None."""
    folder = stage.folder(workdir)
    if not exist(folder):
        return None
    try:
        with Checkpoints(
            folder / "checkpoints", select=stage.config.select, read_only=True
        ) as checkpoints:
            done = checkpoints.steps()[-1] >= stage.steps
            return checkpoints.restore_params()[1] if done else None
    except ValueError:  # damaged: training sets it aside and goes on from the one before
        return None


def _best(folder: Path, select: str, drawing: bool = False) -> tuple[int, Params, str]:
    def read(kept: Checkpoints) -> tuple[int, Params, str]:
        step, params = kept.restore_params(kept.best_drawing() if drawing else None)
        return step, params, saved_digest(kept.folder / str(step))

    return reading(folder, select, read)
