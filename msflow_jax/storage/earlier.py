"""What a workdir holds of an earlier run whose checkpoints are gone: out of the way of a fresh one."""

from pathlib import Path

from msflow_jax.storage import evaluations
from msflow_jax.storage.places import free

FOLDER = "earlier-run"


def set_aside(workdir: Path) -> Path | None:
    """Moves evaluations and reports of an earlier run of a workdir into a folder of their own there.

    They would be applied to the parameters of the next run, whose step is often the same.

    Args:
        workdir: a workdir without checkpoints.

    Returns:
        The folder, ``earlier-run`` or, where there is one, ``earlier-run-2`` and so on; None where
        nothing was there.
    """
    # Those of before there were names lie in the workdir itself. What is applied goes first.
    names = (evaluations.FOLDER, evaluations.FILE, evaluations.ARRAYS, "report")
    found = [workdir / name for name in names if (workdir / name).exists()]
    if not found:
        return None
    folder = free(workdir / FOLDER)
    folder.mkdir()
    for path in found:
        path.rename(folder / path.name)
    return folder
