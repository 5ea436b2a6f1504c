"""What ends a measurement: the report, and by which evaluation images are classified from now on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def report(flow: Any, name: str, found: Mapping[str, Any], *, adopt: bool) -> None:
    """The report, the headline numbers, and by which evaluation images are classified from now on.

    Args:
        flow: the opened workdir, or one of its stages.
        name: of the evaluation that was measured; ``found``: its content.
        adopt: whether it becomes the standing one.
    """
    from msflow_jax.inference.stored import parameters_used
    from msflow_jax.parallel.startup import is_first
    from msflow_jax.reports import build_report
    from msflow_jax.reports.headlines import headlines
    from msflow_jax.storage import evaluations
    from msflow_jax.storage.parameters import Parameters

    workdir, stage = flow.path, evaluations.describe(found)["stage"]
    now = parameters_used(workdir) if stage else Parameters.of(flow)
    if not is_first():
        return
    if adopt:
        evaluations.adopt(workdir, name)
    where = build_report(workdir, now)
    print("\n".join([*headlines(found), f"report: {where}"]))
    standing = evaluations.standing(workdir)
    if standing == name:
        return
    if other := evaluations.difference(workdir, standing, now):
        print(
            f"kept as {name!r}; {standing!r} stands, but is {other}: nothing of it is applied "
            f"(evaluate again as {standing!r} was, or --adopt=NAME)"
        )
    else:
        print(
            f"kept as {name!r}; images are classified by {standing or 'none'!r} (--adopt changes it)"
        )


def adopt_existing(workdir: Path, name: str) -> None:
    """Makes an evaluation that is there the standing one; nothing is measured."""
    from msflow_jax.inference.calibration import read_calibration
    from msflow_jax.inference.stored import parameters_used, read
    from msflow_jax.parallel.startup import is_first
    from msflow_jax.reports import build_report
    from msflow_jax.storage import evaluations

    read(workdir)
    read_calibration(workdir, name=name)  # one that could not be applied is refused
    now = parameters_used(workdir)
    if not is_first():
        return
    evaluations.adopt(workdir, name)
    where = build_report(workdir, now)
    if other := evaluations.difference(workdir, name, now):
        print(f"{name!r} stands, but is {other}: nothing of it is applied, evaluate again: {where}")
    else:
        print(f"images are classified by the evaluation {name!r} from now on: {where}")
