"""Maps that show why: the likelihood of images, and of one class against another, pixel by pixel.

    python -m experiments.explain --workdir=runs/magic_pneumonia --images=PATH --output=DIR

For each image an overlay of its log-likelihood given the prediction and one of the prediction against
the second class, with the scale of the colours in nats, which is one for all images of a call, the maps
themselves in ``maps.npz``, and a line of ``explained.csv``. PATH is an image,
a folder or an .npz, as for ``msflow classify``. Of volumes the overlays show three planes through
the voxel of the largest absolute ratio, and each map is a NIfTI file as well. Only for models with a
likelihood. After Ctrl-C the images that were explained are in OUTPUT.partial.
"""

import csv
from collections.abc import Sequence
from importlib.util import find_spec
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

TABLE, MAPS = "explained.csv", "maps.npz"
_VOLUMES = ("likelihood_map", "log_ratio_map")  # columns of the files of volumes' maps
_HEADER = ("name", "prediction", "class", "against")


def explain(
    workdir: Path,
    images: str,
    output: Path,
    *,
    label: str = "",
    against: str = "",
    spread: str = "block",
    resize: bool | None = None,
    overwrite: bool = False,
) -> list[dict[str, Any]]:
    """Write the maps; returns the rows of the CSV.

    Args:
        workdir: workdir of a trained model with a likelihood.
        images: an image, a folder, or an .npz.
        output: folder for the overlays, ``maps.npz`` and ``explained.csv``; one that an earlier call
            wrote is replaced.
        label: class name or number to explain; empty: the prediction.
        against: class to compare with; empty, or where it is the prediction: the second class.
        spread: how log-dets below squeezes are placed, see :func:`msflow_jax.coupling.likelihood_map`.
        resize: whether images of another size are brought to the model's; None: as in training.
        overwrite: whether an earlier call's folder is replaced to which other files were added.

    Raises:
        ValueError: a model without a likelihood, an unknown class or spread, a class against itself, or
            an output that must not be replaced.
        OSError: an output that cannot be written.
        KeyboardInterrupt: Ctrl-C; the maps so far are in ``OUTPUT.partial``.
    """
    from msflow_jax.data.sources.images import read_sized_images
    from msflow_jax.inference.explained import choose_classes
    from msflow_jax.parallel.batched import Interrupted
    from msflow_jax.storage.atomic import new_folder
    from msflow_jax.storage.outputs import check_both, check_folder, refuse_within, remove_partial
    from msflow_jax.workdir import open_workdir

    inputs = [workdir, source_path(images)]
    output, partial = check_both(check_folder, output, written_before, inputs, overwrite)
    refuse_within(output, inputs[1])
    flow = open_workdir(workdir)
    flow.require("explain")
    model, sorts = flow.model, flow.classes
    requested = [int(model.numbers([name])[0]) if name else None for name in (label, against)]
    if requested[0] is not None and requested[0] == requested[1]:
        raise ValueError(f"--label and --against are both {sorts[requested[0]]}: choose two")
    given = read_sized_images(images, flow.info, resize=flow.resizes(resize))
    pixels, names = given.images, given.names
    # Of the first draw, as the maps are: of several draws likelihood and class would be of other noise.
    prediction = flow.classify(pixels, description="classifying", draws=1)
    labels, others = choose_classes(prediction, *requested)
    likelihood: Any = prediction.log_likelihood
    columns = (names, prediction.names, labels, others, likelihood)
    shown = [
        {
            "name": name, "prediction": predicted, "class": sorts[k], "against": sorts[other],
            "log_likelihood": f"{nats:.3f}", "evaluation": str(flow.calibration),
        }
        for name, predicted, k, other, nats in zip(*columns, strict=True)
    ]  # fmt: skip
    try:
        found = flow.explain(pixels, labels, others, description="explaining", spread=spread)
    except Interrupted as stop:
        with new_folder(partial, replace=True) as folder:
            write(folder, pixels, shown, labels, others, stop.partial, given.spacings)
        raise stop.kept(len(names), partial) from stop
    with new_folder(output, replace=True) as folder:
        rows = write(folder, pixels, shown, labels, others, found, given.spacings)
    remove_partial(output, partial, written_before)
    print(f"{len(rows)} images explained: {output}")
    return rows


def write(
    folder: Path, pixels: Any, shown: Sequence[dict[str, Any]], labels: Any, others: Any, found: Any,
    spacings: Sequence[Sequence[float]] = (),
) -> list[dict[str, Any]]:  # fmt: skip
    """Overlays, maps and table of the images that were explained, which may be fewer than given.

    ``spacings`` are the sizes in mm of the voxels of each image, empty where not known; none: of none.
    """
    import numpy as np

    from msflow_jax.data.sources.finding import file_names
    from msflow_jax.inference.explained import draw, scales
    from msflow_jax.storage.atomic import write_atomically, write_npz
    from msflow_jax.storage.text import write_csv

    rows, count, volumes = [], len(found.map), found.map.ndim == 4
    if volumes and find_spec("nibabel") is None:
        print(f"The maps are in {MAPS} alone; for NIfTI files pip install 'msflow_jax[medical]'")
        volumes = False
    limits, stems = scales(found.map, found.log_ratio), file_names([one["name"] for one in shown])
    for i in range(count):
        file = f"{stems[i]}.png"
        pair = shown[i]["class"], shown[i]["against"]
        spacing = spacings[i] if spacings else ()
        picture = draw(pixels[i], found.map[i], found.log_ratio[i], pair, limits, spacing)
        write_atomically(folder / file, picture)
        row = {
            **shown[i],
            "log_likelihood_of_class": f"{found.map[i].sum(dtype=np.float64):.3f}",
            "log_likelihood_ratio": f"{found.log_ratio[i].sum(dtype=np.float64):.4f}",
            "file": file,
        }
        if volumes:
            row |= write_volumes(folder, stems[i], (found.map[i], found.log_ratio[i]), spacing)
        rows.append(row)
    names = np.array([row["name"] for row in rows], np.str_)
    classes = {"labels": labels[:count], "against": others[:count]}
    write_npz(folder / MAPS, map=found.map, log_ratio=found.log_ratio, names=names, **classes)
    write_csv(folder / TABLE, rows)
    return rows


def write_volumes(folder: Path, stem: str, maps: Sequence[Any], spacing: Any) -> dict[str, str]:
    """Each map as a NIfTI file in nats, float32, on the model's grid; the files by their columns."""
    from msflow_jax.data.sources.nifti.writing import write_nifti

    files = {column: f"{stem}_{column}.nii.gz" for column in _VOLUMES}
    for file, values in zip(files.values(), maps, strict=True):
        write_nifti(folder / file, values, spacing=spacing)
    return files


def written_before(folder: Path) -> list[str] | None:
    """Names of the files that an earlier call left in a folder; None where there is no table of one."""
    from msflow_jax.storage.text import begins_with, uncell

    table = folder / TABLE
    if not table.is_file() or not begins_with(table, _HEADER):
        return None
    try:
        with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = list(csv.DictReader(file))
            names = [uncell(row[c]) for row in rows for c in ("file", *_VOLUMES) if c in row]
    except (KeyError, csv.Error):
        return None
    return [*names, TABLE, MAPS]


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--images", type=named, required=True, help="an image, a folder or an .npz")
    flags.add_argument("--output", required=True, type=path)
    flags.add_argument("--label", default="", help="class to explain (default: the prediction)")
    flags.add_argument(
        "--against", default="", help="class to compare with (default: the second class)"
    )
    flags.add_argument("--spread", default="block", choices=("block", "entry"))
    add_resize(flags)
    add_overwrite(flags, "an earlier call's folder although files were added to it")
    o = flags.parse_args(arguments)
    start()
    explain(
        o.workdir, o.images, o.output, label=o.label, against=o.against, spread=o.spread,
        resize=o.resize, overwrite=o.overwrite,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
