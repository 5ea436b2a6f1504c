"""Say the class of every pixel of images, and how uncertain that is: masks, overlays, areas.

    python -m experiments.segment --workdir=W --images=PATH --output=DIR

PATH is an image, a folder or an .npz; DICOM and NIfTI files are images too. DIR/masks has the class
numbers of every image on its own grid (PNG, of volumes NIfTI with the file's affine), DIR/overlays the
classes in colour over it, DIR/uncertainty the entropy of the class probabilities (1: all classes are
equally probable), segmented.csv pixels, mm2 or mm3 and mean uncertainty of each class, segmented.json
how it was made. A model of slices takes every slice of a volume. After Ctrl-C what was done is in
DIR.partial.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import (
    add_overwrite,
    add_resize,
    named,
    parser,
    path,
    run,
    source_path,
    start,
)
from msflow_jax.commands.numbers import whole
from msflow_jax.settings import SEED


def segment(
    workdir: Path,
    images: str,
    output: Path,
    *,
    seed: int | None = None,
    resize: bool | None = None,
    overwrite: bool = False,
    **requested: Any,
) -> list[dict[str, Any]]:
    """Write the masks; returns the rows of the table.

    Args:
        workdir: workdir of a model of label maps.
        images: an image, a folder, or an .npz.
        output: folder to write; one that an earlier call wrote is replaced.
        seed: seed of the noise; None as configured.
        resize: whether images of another size are brought to the model's; None: as in training
            (masks have the images' size).
        overwrite: whether an earlier call's folder is replaced to which other files were added.
        **requested: settings of the model's ``segment``: draws, steps, solver; None or empty: as
            configured.

    Raises:
        ValueError, OSError: a model that does not segment, images that do not fit, an output that must
            stay.
        KeyboardInterrupt: Ctrl-C; what was done is in ``OUTPUT.partial``.
    """
    from msflow_jax.data.slices import Slices
    from msflow_jax.data.sources.restoring import read_segmentable
    from msflow_jax.inference.images import choose_format
    from msflow_jax.inference.segmented import write_segmented
    from msflow_jax.inference.settings import used_seed
    from msflow_jax.parallel.batched import Interrupted
    from msflow_jax.storage.atomic import new_folder
    from msflow_jax.storage.outputs import check_both, check_folder, refuse_within, remove_partial
    from msflow_jax.workdir import open_workdir

    places = [workdir, source_path(images)]
    output, partial = check_both(check_folder, output, written_before, places, overwrite)
    refuse_within(output, places[1])
    flow = open_workdir(workdir)
    flow.require("segment")
    settings, slices = flow.segment_settings(requested), Slices.of(flow.config.data.slices)
    pixels, given = read_segmentable(images, flow.info, slices, resize=flow.resizes(resize))
    if flow.info.dims == 3 or len(given) < len(pixels):
        choose_format("nifti", 3)  # before the work: whether it can be written
    record = {
        "workdir": str(workdir), "step": flow.step, **settings,
        "seed": used_seed(flow.config, seed),
    }  # fmt: skip
    try:
        found = flow.segment_uncertainly(pixels, seed=seed, description="segmenting", **requested)
    except Interrupted as stop:
        record["stopped"] = f"by Ctrl-C after {stop.count} of {len(pixels)} images"
        with new_folder(partial, replace=True) as folder:
            write_segmented(folder, stop.partial, given, flow.classes, record)
        raise stop.kept(len(pixels), partial) from stop
    with new_folder(output, replace=True) as folder:
        rows = write_segmented(folder, found, given, flow.classes, record)
    remove_partial(output, partial, written_before)
    print(f"{len(rows)} segmented, {len(flow.classes)} classes: {output}")
    return rows


def written_before(folder: Path) -> list[str] | None:
    """Names in a folder that an earlier call left; None where there is no record of one."""
    from msflow_jax.inference.segmented import FILES, RECORD
    from msflow_jax.storage.jsons import read_object

    try:
        found = read_object(folder / RECORD)
        found["images"], found["uncertainty"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return list(FILES)


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--images", type=named, required=True, help="an image, a folder or an .npz")
    flags.add_argument("--output", required=True, type=path)
    flags.add_argument("--draws", **whole(), help="noise draws of each image")
    flags.add_argument("--steps", **whole(), help="solver steps (default: as configured)")
    flags.add_argument("--solver", default="", help="euler, heun, midpoint, rk4, tsit5 or dopri5")
    flags.add_argument("--seed", **whole(SEED), help="seed of the noise (default: as configured)")
    add_resize(flags)
    add_overwrite(flags, "an earlier call's folder although files were added to it")
    o = flags.parse_args(arguments)
    start()
    segment(
        o.workdir, o.images, o.output, draws=o.draws, steps=o.steps, solver=o.solver, seed=o.seed,
        resize=o.resize, overwrite=o.overwrite,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
