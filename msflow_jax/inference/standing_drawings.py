"""What the standing evaluation of a workdir warns of in the images that its model draws."""

from collections.abc import Collection
from pathlib import Path

from msflow_jax.reports.alarms import warnings_of_drawing
from msflow_jax.reports.results import Results
from msflow_jax.storage import evaluations


def warnings_of_drawings(
    workdir: Path, needed: bool = False, classes: Collection[str] = ()
) -> list[str]:
    """Lines of warning; none where there is nothing to warn of.

    Args:
        workdir: workdir of the model.
        needed: whether there being no evaluation is to be warned of too.
        classes: names of those that are drawn; empty: all.
    """
    if name := evaluations.standing(workdir):
        found = Results(name="", evaluation=evaluations.read(workdir, name))
        return [f"evaluation {name!r}: {text}" for text in warnings_of_drawing(found, classes)]
    if needed:
        return [f"how good drawn images are is not known: msflow evaluate --workdir={workdir}"]
    return []
