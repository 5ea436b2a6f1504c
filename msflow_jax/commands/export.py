"""Export a trained model as one program for CPU, CUDA and TPU, which runs without this library.

    msflow export --workdir=W --verb=classify --output=DIR

DIR has the program (StableHLO), its parameters (safetensors), what goes in and out, class names, the
calibration and the thresholds of abstention (export.json), and a loader of a few lines, load.py, which
needs jax and flatbuffers alone. More: the page Export of the documentation.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import add_overwrite, parser, path, run, start
from msflow_jax.commands.numbers import whole

RECORD = "export.json"


def export_model(
    workdir: Path,
    verb: str,
    output: Path,
    *,
    batch: int | None = None,
    overwrite: bool = False,
    **requested: Any,
) -> None:
    """Exports a verb of the model of a workdir.

    Args:
        workdir: workdir of a trained model.
        verb: ``classify`` or ``generate``.
        output: folder to write; one that an earlier call wrote is replaced.
        batch: images of a call, None: any number.
        overwrite: whether an earlier call's folder is replaced to which other files were added.
        **requested: settings of the verb; None or empty: as evaluated, or as configured.

    Raises:
        ValueError, OSError: a verb that cannot be exported, or an output that must stay.
        ModuleNotFoundError: flatbuffers is not installed.
    """
    from msflow_jax.inference.exporting import PLATFORMS, export
    from msflow_jax.progress import doing
    from msflow_jax.storage.atomic import new_folder
    from msflow_jax.storage.outputs import check_folder
    from msflow_jax.workdir import open_workdir

    output = check_folder(output, written_before, [workdir], overwrite)
    flow = open_workdir(workdir)
    traced = f"tracing {verb} for {', '.join(PLATFORMS)}"
    with doing(traced), new_folder(output, replace=True) as folder:
        facts = export(flow, verb, folder, batch=batch or 0, **requested)
    size = sum(file.stat().st_size for file in output.iterdir()) / 2**20
    print(f"{verb} of {workdir}, for {', '.join(facts['platforms'])}: {output} ({size:.1f} MiB)")
    for line in facts.get("warnings", ()):
        print(f"warning: {line}", file=sys.stderr)
    if verb == "classify" and not flow.calibration.known:
        print(f"not calibrated, and without thresholds: {flow.calibration.reason}")


def written_before(folder: Path) -> list[str] | None:
    """Names in a folder that an earlier call left; None where there is no record of one."""
    from msflow_jax.inference.exporting import FILES
    from msflow_jax.storage.jsons import read_object

    try:
        read_object(folder / RECORD)["verb"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return list(FILES)


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--verb", default="classify", help="classify (the default) or generate")
    flags.add_argument("--output", required=True, type=path, help="folder to write")
    flags.add_argument("--batch", **whole(), help="images of a call (default: any number)")
    flags.add_argument("--draws", **whole(), help="noise draws (default: as evaluated)")
    flags.add_argument(
        "--steps", **whole(), help="solver steps (default: as evaluated, of drawings as configured)"
    )
    add_overwrite(flags, "what was added to an earlier call's --output")
    o = flags.parse_args(arguments)
    start()
    export_model(
        o.workdir,
        o.verb,
        o.output,
        batch=o.batch,
        overwrite=o.overwrite,
        draws=o.draws,
        steps=o.steps,
    )


if __name__ == "__main__":
    run(main)
