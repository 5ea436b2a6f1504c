"""Generate images of a class, or of a text: files, a grid of them as PDF, and a record of the seed.

python -m experiments.generate --workdir=runs/quickstart --label=severe --count=64 --output=DIR
python -m experiments.generate --workdir=W --text="One lesion." --modalities=xray,ct --output=DIR
python -m experiments.generate --workdir=W --modalities=xray,report --count=8 --output=DIR
python -m experiments.generate --workdir=W --augment --count=500 --output=DIR

Pictures are PNG, volumes NIfTI with the training grid's voxel size and the values that grey levels stand
for. --format=png writes three planes of volumes, --format=dicom secondary captures that are marked as
synthetic. Every image in the folder is one that was drawn. After Ctrl-C those that were drawn are in
DIR.partial. With a model of several modalities (the second and third line) DIR has a folder of images
for each, drawn reports are in reports.csv, and generated.json says which routes were never trained.

--augment writes a training set: the real images of all splits and, for training alone, drawn ones of all
classes or of --label; DIR/manifest.csv lists path, label, split, origin (real, drawn), patient if known.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands import augmented
from msflow_jax.commands.common import (
    add_distributed,
    add_format,
    add_overwrite,
    parser,
    path,
    run,
    start,
)
from msflow_jax.commands.joint import RECORD, draw_modalities, read_texts
from msflow_jax.commands.numbers import fraction, whole
from msflow_jax.settings import SEED

GRID = "grid.pdf"  # no picture file: the folder may be classified, or trained on
PLANES, COUNT = "planes", 64  # folder of the middle planes of volumes; images of a class


def generate(
    workdir: Path,
    labels: Sequence[str],
    count: int | None,
    output: Path,
    *,
    texts: Sequence[str] = (),
    modalities: Sequence[str] = (),
    seed: int | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    partner_guidance: float | None = None,
    solver: str = "",
    temperature: float | None = None,
    file_format: str = "",
    overwrite: bool = False,
    augment: bool = False,
    balance: bool = False,
    root: str = "",
) -> None:
    """Draw ``count`` images of each label, or of each text. Of several processes the first one writes.

    Args:
        workdir: workdir of a trained model.
        labels: class names or numbers; all classes where empty.
        count: images per class; None: 64, of a model of several modalities as configured.
        output: folder for ``<class>_<number>.png`` (or another suffix), ``grid.pdf`` and
            ``generated.json``; one that an earlier call wrote is replaced.
        texts: reports that a model of several modalities draws from.
        modalities: what it draws; see :func:`msflow_jax.commands.joint.draw_modalities`.
        seed, steps, solver: of the noise and of the ODE, None or empty as configured.
        guidance, partner_guidance: weights of class or text, and of partners, None as configured.
        temperature: standard deviation of the latents of a model with a likelihood, None as configured.
        file_format: ``png``, ``nifti`` or ``dicom``; empty: PNG for pictures, NIfTI for volumes.
        overwrite: whether an earlier call's folder is replaced to which other files were added.
        augment, balance, root: see :func:`msflow_jax.commands.augmented.augment`.

    Raises:
        ValueError: an unknown class or format, a count below 1, a setting that the model has not, labels
            for a model of modalities or the reverse, a model of label maps, an output that must stay.
        ImportError, OSError: no package that writes the format, an output that cannot be written.
        KeyboardInterrupt: Ctrl-C; the images so far are in ``OUTPUT.partial``.
    """
    from msflow_jax.inference.settings import used_seed
    from msflow_jax.parallel.startup import is_first
    from msflow_jax.storage.outputs import check_both, check_folder, remove_partial
    from msflow_jax.workdir import open_workdir

    if count is not None and count < (not balance):
        raise ValueError(f"--count must be at least 1, got {count}")
    augmented.check_flags(augment, balance, root, (texts, modalities), file_format)
    output, partial = check_both(check_folder, output, written_before, [workdir], overwrite)
    flow = open_workdir(workdir)
    flow.require("generate")
    seed, requested = used_seed(flow.config, seed), dict(
        solver=solver, steps=steps, guidance=guidance, temperature=temperature,
        partner_guidance=partner_guidance,
    )  # fmt: skip
    if augment:
        count = count if count is not None else 0 if balance else COUNT
        augmented.augment(
            flow, output, count=count, labels=labels, balance=balance, root=root, seed=seed,
            requested=requested,
        )  # fmt: skip
    elif _draws_modalities(flow, labels, texts, modalities):
        draw_modalities(
            flow, output, partial, texts=texts, modalities=modalities, count=count, seed=seed,
            file_format=file_format, requested=requested,
        )  # fmt: skip
    else:
        _draw_classes(flow, output, partial, labels, count or COUNT, seed, file_format, requested)
    if is_first():
        remove_partial(output, partial, written_before)
    if not augment:
        augmented.warn_of_drawings(flow)


def _draw_classes(
    flow: Any, output: Path, partial: Path, labels: Sequence[str], count: int, seed: int,
    file_format: str, requested: Mapping[str, Any],
) -> None:  # fmt: skip
    """Draw and write images of classes; arguments as for :func:`generate`."""
    import numpy as np

    from msflow_jax.inference.images import choose_format, describe_files
    from msflow_jax.parallel.batched import Interrupted
    from msflow_jax.parallel.startup import is_first
    from msflow_jax.storage.atomic import new_folder

    file_format = choose_format(file_format, flow.info.dims)
    target = flow.model.numbers(labels or flow.classes)
    numbers = np.repeat(target, count)
    record = {"workdir": str(flow.path), "step": flow.drawing_step, "seed": seed}
    record |= flow.settings("generate", requested) | describe_files(flow.info, file_format)
    try:
        images = flow.generate(target, count, seed=seed, description="generating", **requested)
    except Interrupted as stop:
        record["stopped"] = f"by Ctrl-C after {stop.count} of {len(numbers)} images"
        with new_folder(partial, replace=True) as folder:
            write(folder, stop.partial, numbers, flow.info, record)
        raise stop.kept(len(numbers), partial) from stop
    if not is_first():
        return
    with new_folder(output, replace=True) as folder:
        write(folder, images, numbers, flow.info, record)
    print(f"{len(images)} images: {output}, all in one: {output / GRID}")


def _draws_modalities(flow: Any, labels: Any, texts: Any, modalities: Any) -> bool:
    """Whether the model draws modalities; refuses by name what it then does not know."""
    from msflow_jax.families import draws_modalities

    found = draws_modalities(flow.model)
    if found and labels:
        raise ValueError(
            f"--label: the model of {flow.path} draws modalities, not images of classes: name what to "
            f"draw by --modalities, of {', '.join(flow.model.modalities)}"
        )
    if not found and (texts or modalities):
        raise ValueError(
            f"{'--text' if texts else '--modalities'}: the model of {flow.path} draws images of "
            f"classes: name them by --label, of {', '.join(flow.classes)}"
        )
    return found


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
    from msflow_jax.data.sources.grey.written import NAME
    from msflow_jax.inference.augmented import IMAGES, TABLE
    from msflow_jax.storage.jsons import read_object

    try:
        found = read_object(folder / RECORD)
        if "augmented" in found:
            return [IMAGES, TABLE, NAME, RECORD]
        if "examples" in found:
            files = (file for one in found["examples"] for file in one["files"].values())
            return [*{Path(file).parts[0] for file in files}, RECORD, str(found["reports"])]
        names = [str(entry["file"]) for entry in found["images"]]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return [*names, RECORD, GRID, PLANES, "grid.png"]  # the last of an earlier version


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--label", action="append", default=[], help="name or number; repeatable")
    flags.add_argument(
        "--text", action="append", default=[], help="report to draw from; repeatable"
    )
    flags.add_argument("--texts", type=path, help="file of reports, a line each")
    flags.add_argument("--modalities", default="", help="what is drawn together, such as xray,ct")
    flags.add_argument(
        "--count", **whole("[0, inf)"),
        help="images per class (default: 64), of several modalities per text, or in all",
    )  # fmt: skip
    flags.add_argument("--output", required=True, type=path)
    flags.add_argument("--seed", **whole(SEED), help="seed of the noise (default: as configured)")
    flags.add_argument("--steps", **whole(), help="solver steps (default: as configured)")
    flags.add_argument(
        "--solver", default="", help="euler, heun, midpoint, rk4, tsit5, dopri5, jump"
    )
    flags.add_argument("--guidance", **fraction("(0, inf)"), help="classifier-free guidance")
    flags.add_argument(
        "--partner-guidance", **fraction("(0, inf)"), help="weight of the other modalities' tokens"
    )
    flags.add_argument("--temperature", **fraction("(0, inf)"), help="for models with a likelihood")
    augmented.add_flags(flags)
    add_format(flags)
    add_distributed(flags)
    add_overwrite(flags, "an earlier call's folder although files were added to it")
    o = flags.parse_args(arguments)
    start(o.distributed)
    generate(
        o.workdir, o.label, o.count, o.output, texts=read_texts(o.text, o.texts), seed=o.seed,
        modalities=[one.strip() for one in o.modalities.split(",") if one.strip()], root=o.root,
        steps=o.steps, guidance=o.guidance, partner_guidance=o.partner_guidance, solver=o.solver,
        temperature=o.temperature, file_format=o.format, overwrite=o.overwrite, augment=o.augment,
        balance=o.balance,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
