"""Generate images of a class: files, a grid of them as PDF, and a record of seeds and classes.

python -m experiments.generate --workdir=runs/quickstart --label=severe --count=64 --output=DIR

Pictures are PNG, volumes NIfTI with the training grid's voxel size and the values that grey levels stand
for. --format=png writes three planes of volumes, --format=dicom secondary captures that are marked as
synthetic. Every image in the folder is one that was drawn. After Ctrl-C those that were drawn are in
DIR.partial.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.common import add_format, add_overwrite, parser, path, run

RECORD = "generated.json"
GRID = "grid.pdf"  # no picture file: the folder may be classified, or trained on
PLANES = "planes"  # folder of the middle planes of volumes


def generate(
    workdir: Path,
    labels: Sequence[str],
    count: int,
    output: Path,
    *,
    seed: int = 0,
    steps: int = 0,
    guidance: float = 0.0,
    solver: str = "",
    temperature: float = 0.0,
    file_format: str = "",
    overwrite: bool = False,
) -> None:
    """Draw ``count`` images of each label.

    Args:
        workdir: workdir of a trained model.
        labels: class names or numbers; all classes where empty.
        count: images per class.
        output: folder for ``<class>_<number>.png`` (or another suffix), ``grid.pdf`` and
            ``generated.json``; one that an earlier call wrote is replaced.
        seed: seed of the noise.
        steps: solver steps, 0 as configured.
        guidance: classifier-free guidance weight, 0 as configured.
        solver: ODE solver, empty as configured.
        temperature: standard deviation of the latents of a model with a likelihood, 0 as configured.
        file_format: ``png``, ``nifti`` or ``dicom``; empty: PNG for pictures, NIfTI for volumes.
        overwrite: whether an earlier call's folder is replaced to which other files were added.

    Raises:
        ValueError: an unknown class or format, a count below 1, a setting that the model has not, a
            model that needs label maps, or an output that must not be replaced.
        ImportError: the package that writes the format is not installed.
        OSError: an output that cannot be written.
        KeyboardInterrupt: Ctrl-C; the images so far are in ``OUTPUT.partial``.
    """
    import numpy as np

    from msflow_jax.inference.images import choose_format, describe_files
    from msflow_jax.parallel.batched import Interrupted
    from msflow_jax.storage.atomic import new_folder
    from msflow_jax.storage.outputs import check_both, check_folder
    from msflow_jax.workdir import open_workdir

    if count < 1:
        raise ValueError(f"--count must be at least 1, got {count}")
    output, partial = check_both(check_folder, output, written_before, [workdir], overwrite)
    flow = open_workdir(workdir)
    flow.require("generate")
    file_format = choose_format(file_format, flow.info.dims)
    requested = {"solver": solver, "steps": steps, "guidance": guidance, "temperature": temperature}
    target = flow.model.numbers(labels or flow.classes)
    numbers = np.repeat(target, count)
    record = {"workdir": str(workdir), "step": flow.drawing_step, "seed": seed}
    record |= flow.settings("generate", requested) | describe_files(flow.info, file_format)
    try:
        images = flow.generate(target, count, seed=seed, description="generating", **requested)
    except Interrupted as stop:
        record["stopped"] = f"by Ctrl-C after {stop.count} of {len(numbers)} images"
        with new_folder(partial, replace=True) as folder:
            write(folder, stop.partial, numbers, flow.info, record)
        raise stop.kept(len(numbers), partial) from stop
    with new_folder(output, replace=True) as folder:
        write(folder, images, numbers, flow.info, record)
    print(f"{len(images)} images: {output}, all in one: {output / GRID}")


def write(folder: Path, images: Any, numbers: Any, info: Any, record: Mapping[str, Any]) -> None:
    """Images, grid and record; there may be fewer images than numbers of classes."""
    from msflow_jax.inference.images import write_image, write_planes
    from msflow_jax.reports.figures import save_grid
    from msflow_jax.storage.jsons import write_json
    from msflow_jax.storage.text import file_stem

    numbers, classes = numbers[: len(images)], info.classes
    names = []
    for i, (image, k) in enumerate(zip(images, numbers, strict=True)):
        stem = folder / f"{k}_{file_stem(classes[k])}_{i:05d}"
        words = f"{classes[k]}, by msflow_jax"
        names.append(write_image(stem, image, info, record["format"], words).name)
        if info.dims == 3 and record["format"] != "png":
            write_planes(folder / PLANES / f"{stem.name}.png", image, info)
    save_grid(folder / GRID, images, numbers, classes, spacing=info.spacing)
    entries = [
        {"file": name, "label": int(k), "class": classes[k], "index": i}
        for i, (name, k) in enumerate(zip(names, numbers, strict=True))
    ]
    write_json(folder / RECORD, {**record, "images": entries})


def written_before(folder: Path) -> list[str] | None:
    """Names of the files that an earlier call left in a folder; None where there is no record of one."""
    from msflow_jax.storage.jsons import read_object

    try:
        names = [str(entry["file"]) for entry in read_object(folder / RECORD)["images"]]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return [*names, RECORD, GRID, PLANES, "grid.png"]  # the last of an earlier version


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--label", action="append", default=[], help="name or number; repeatable")
    flags.add_argument("--count", type=int, default=64, help="images per class")
    flags.add_argument("--output", required=True, type=path)
    flags.add_argument("--seed", type=int, default=0, help="seed of the noise")
    flags.add_argument("--steps", type=int, default=0, help="solver steps (default: as configured)")
    flags.add_argument("--solver", default="", help="euler, heun, midpoint, rk4, tsit5 or dopri5")
    flags.add_argument("--guidance", type=float, default=0.0, help="classifier-free guidance")
    flags.add_argument(
        "--temperature", type=float, default=0.0, help="for models with a likelihood"
    )
    add_format(flags)
    add_overwrite(flags, "an earlier call's folder although files were added to it")
    o = flags.parse_args(arguments)

    from msflow_jax.parallel.startup import start_jax

    start_jax()
    generate(
        o.workdir, o.label, o.count, o.output, seed=o.seed, steps=o.steps, guidance=o.guidance,
        solver=o.solver, temperature=o.temperature, file_format=o.format,
        overwrite=o.overwrite,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
