"""Draw another modality of what images show: mean, spread and samples of several draws.

    python -m experiments.translate --workdir=W --images=PATH --source=t1w --target=ct --output=DIR

PATH is an image, a folder or an .npz; DICOM and NIfTI files are images too. DIR/mean has the mean of
the draws, DIR/spread their standard deviation (as PNG white: a quarter of the range; one draw has none),
DIR/samples each of them: PNG, of volumes NIfTI with the values of the target (Hounsfield units of CT).
DIR/preview shows source, mean and spread beside each other. A model of slices draws every slice of a
volume, all with one noise in each draw, and what is written is on the grid of the file, of NIfTI voxel
by voxel in its order, the spread in the target's units too. A source that does not look like its
modality, and a route that the standing evaluation warns of, are named. A route that was never trained
is called emergent in translated.json. After Ctrl-C what was drawn is in DIR.partial.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import (
    add_format,
    add_overwrite,
    add_resize,
    named,
    parser,
    path,
    run,
    source_path,
    start,
)
from msflow_jax.commands.numbers import fraction, whole
from msflow_jax.settings import SEED

RECORD = "translated.json"


def translate(
    workdir: Path,
    images: str,
    source: str,
    target: str,
    output: Path,
    *,
    draws: int | None = None,
    seed: int | None = None,
    resize: bool | None = None,
    one_noise: bool = True,
    file_format: str = "",
    overwrite: bool = False,
    instruction: str = "",
    **requested: Any,
) -> None:
    """Draw the target of every image, or volume.

    Args:
        workdir: workdir of a model of several modalities.
        images: of the source; ``source``, ``target``: their modality, and the one to draw.
        output, overwrite: folder to write; one of an earlier call is replaced, with other files if told.
        draws, seed: how many of each image and the seed of their noise, None as configured.
        resize: whether images of another size are brought to the model's; None: as in training.
        one_noise: whether the slices of a volume have one noise in each draw, so that neighbours agree.
        file_format: ``png``, ``nifti`` or ``dicom``; empty: PNG for pictures, NIfTI for volumes.
        instruction: words that name source and target, for a model that reads them.
        **requested: settings of the model's ``translate``; None or empty: as configured.

    Raises:
        ValueError, OSError: an unknown modality, images that do not fit, an output that must stay.
        KeyboardInterrupt: Ctrl-C; what was drawn is in ``OUTPUT.partial``.
    """
    from msflow_jax.inference.images import describe_files
    from msflow_jax.inference.settings import used_seed
    from msflow_jax.inference.standing_routes import read_standing
    from msflow_jax.inference.translated import read_sources
    from msflow_jax.parallel.batched import Interrupted
    from msflow_jax.storage.atomic import new_folder
    from msflow_jax.storage.outputs import check_both, check_folder, refuse_within, remove_partial
    from msflow_jax.workdir import open_workdir

    places = [workdir, source_path(images)]
    output, partial = check_both(check_folder, output, written_before, places, overwrite)
    refuse_within(output, places[1])
    flow = open_workdir(workdir)
    flow.require("translate")
    drawn, seed = flow.images_of(target), used_seed(flow.config, seed)
    given = read_sources(
        flow, images, source, target, resize=flow.resizes(resize), file_format=file_format
    )
    requested["instruction"] = instruction and _numbers(flow, instruction, source, target)
    record = {
        "workdir": str(workdir), "step": flow.step, "seed": seed, "source": source, "target": target,
        "route": flow.model.route_words(source, target), **flow.settings("translate", requested),
        **({"instruction": instruction} if instruction else {}),
        **describe_files(drawn, given.kind), **given.facts(one_noise),
    }  # fmt: skip
    record |= read_standing(workdir).warn(given, source, target, flow.step, flow.digest)
    words, groups = f"{source} to {target}", given.volumes if one_noise else None
    try:
        found = flow.translate(
            {source: given.images}, target, draws=draws, seed=seed, groups=groups, description=words,
            **requested,
        )  # fmt: skip
    except Interrupted as stop:
        record["stopped"] = f"by Ctrl-C after {stop.count} of {len(given.images)} images"
        with new_folder(partial, replace=True) as folder:
            write(folder, stop.partial, given, drawn, record)
        raise stop.kept(len(given.images), partial) from stop
    with new_folder(output, replace=True) as folder:
        count = write(folder, found, given, drawn, record)
    remove_partial(output, partial, written_before)
    print(f"{count} {given.noun} {words} ({record['route']}), {len(found)} draws each: {output}")


def _numbers(flow: Any, instruction: str, source: str, target: str) -> Any:
    """Words as numbers of the tokeniser of a model that reads them; others refuse the setting."""
    reads = getattr(flow.parts, "instruct", lambda text, *route: text)
    return reads(instruction, source, target)


def write(folder: Path, found: Any, given: Any, info: Any, record: Mapping[str, Any]) -> int:
    """Means, spreads, samples and the record of draws uint8 ``[K, N, *shape]``.

    There may be fewer than was given; of volumes those are written whose slices are all there.

    Returns:
        How many pictures, or volumes, were written.
    """
    from msflow_jax.data.sources.finding import file_names
    from msflow_jax.inference.images import warn_of_unsized
    from msflow_jax.inference.translated import (
        FOLDERS,
        warn_of_unseen,
        write_translation,
        write_volume,
    )
    from msflow_jax.inference.translated_preview import write_preview
    from msflow_jax.storage.jsons import write_json

    source, target = record["source"], record["target"]
    words, entries = f"{target} of {source}, by msflow_jax", []
    stems = file_names([name for name, _, _ in given.parts])
    for part in FOLDERS:
        if part != "spread" or len(found) > 1:
            (folder / part).mkdir()
    for stem, (name, rows, volume) in zip(stems, given.parts, strict=True):
        if rows.stop > found.shape[1]:
            break
        if volume is None:
            draws, own = found[:, rows.start], given.drawn_of(rows.start, info)
            said = write_translation(folder, stem, draws, own, record["format"], words)
        else:
            own = info
            said = write_volume(folder, stem, found[:, rows], volume.join, info, volume.file)
        preview = Path("preview", f"{stem}.png")
        write_preview(folder / preview, given.images[rows], found[:, rows], (source, target), own)
        said["preview"] = preview.as_posix()
        entries.append({"name": name, **said})
    if len(found) == 1:
        print("one draw has no spread: none is written; --draws=2 or more have one")
    warn_of_unseen(entries)
    warn_of_unsized(entries, RECORD)
    write_json(folder / RECORD, {**record, "draws": len(found), "images": entries})
    return len(entries)


def written_before(folder: Path) -> list[str] | None:
    """Names in a folder that an earlier call left; None where there is no record of one."""
    from msflow_jax.inference.translated import FOLDERS
    from msflow_jax.storage.jsons import read_object

    try:
        read_object(folder / RECORD)["images"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return [*FOLDERS, RECORD]


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--images", type=named, required=True, help="an image, a folder or an .npz")
    flags.add_argument("--source", required=True, help="modality of the images")
    flags.add_argument("--target", required=True, help="modality to draw")
    flags.add_argument("--output", required=True, type=path)
    flags.add_argument("--draws", **whole(), help="draws of each image")
    flags.add_argument("--seed", **whole(SEED), help="seed of the noise (default: as configured)")
    flags.add_argument("--steps", **whole(), help="solver steps (default: as configured)")
    flags.add_argument("--solver", default="", help="euler, heun, midpoint, rk4, tsit5 or dopri5")
    flags.add_argument("--guidance", **fraction("(0, inf)"), help="weight of the common space")
    flags.add_argument(
        "--partner-guidance", **fraction("(0, inf)"), help="weight of the source's own tokens"
    )
    flags.add_argument(
        "--image-guidance", **fraction("(0, inf)"), help="weight of what is seen of the source"
    )
    flags.add_argument("--instruction", default="", help="words that name source and target")
    add_resize(flags)
    add_format(flags)
    add_overwrite(flags, "an earlier call's folder although files were added to it")
    o = flags.parse_args(arguments)
    start()
    translate(
        o.workdir, o.images, o.source, o.target, o.output, draws=o.draws, seed=o.seed, steps=o.steps,
        solver=o.solver, guidance=o.guidance, partner_guidance=o.partner_guidance,
        image_guidance=o.image_guidance, instruction=o.instruction, resize=o.resize,
        file_format=o.format, overwrite=o.overwrite,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
