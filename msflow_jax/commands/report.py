"""Write reports of images: text, the facts in it, and how much several draws agree, to a CSV.

    python -m experiments.report --workdir=W --images=PATH --source=xray --output=reports.csv

PATH is an image, a folder or an .npz; DICOM and NIfTI files are images too. A row per image: the text
of the first draw, the agreement of all draws in [0, 1] (the mean F1 of their facts; of one draw none),
the log-probability of a word, and the facts that the text states, of phantoms' reports, as columns
fact_...; to a name ending in .json the same as JSON. A route never trained is called emergent.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import (
    add_overwrite,
    add_resize,
    file_path,
    named,
    parser,
    path,
    require_csv,
    run,
    source_path,
    start,
)
from msflow_jax.commands.numbers import whole
from msflow_jax.settings import SEED

_HEADER = ("name", "route", "report")  # what our tables begin with; others are not overwritten


def report(
    workdir: Path,
    images: str,
    source: str,
    output: Path,
    *,
    draws: int = 4,
    seed: int | None = None,
    steps: int | None = None,
    resize: bool | None = None,
    overwrite: bool = False,
) -> list[dict[str, Any]]:
    """Draw reports and write the table; returns its rows.

    Args:
        workdir: workdir of a model that knows reports.
        images: an image, a folder, or an .npz.
        source: modality of the images.
        output: the CSV, or JSON, to write.
        draws: draws of each report.
        seed: seed of the noise, None as configured.
        steps: solver steps, None as configured.
        resize: whether images of another size are brought to the model's; None: as in training.
        overwrite: whether another file than an earlier table is replaced.

    Raises:
        ValueError: a model without reports, an unknown modality, or images that do not fit.
        OSError: an output that cannot be written.
    """
    from msflow_jax import data
    from msflow_jax.data.sources.grey.values import refuse_broken
    from msflow_jax.inference.reported import rows_of
    from msflow_jax.inference.standing_routes import read_standing
    from msflow_jax.storage.jsons import write_json
    from msflow_jax.storage.outputs import check_file
    from msflow_jax.storage.text import begins_with, write_csv
    from msflow_jax.workdir import open_workdir

    def ours(file: Path) -> bool:
        return _of_reports(file) if file.suffix.lower() == ".json" else begins_with(file, _HEADER)

    output = check_file(output, ours, [workdir, source_path(images)], overwrite)
    if output.suffix.lower() != ".json":
        require_csv(output)
    flow = open_workdir(workdir)
    flow.require("report")
    read = data.read_sound_images(images, flow.images_of(source), resize=flow.resizes(resize))
    refuse_broken(read.errors)
    read_standing(workdir).warn_unlike(read, source)
    words = f"reports of {source}"
    texts, logs = flow.report(
        {source: read.images}, draws=draws, seed=seed, description=words, steps=steps
    )
    route = flow.model.route_words(source, "report")
    rows = rows_of(read.names, route, texts, logs)
    if output.suffix.lower() == ".json":
        write_json(output, {"reports": rows})
    else:
        write_csv(output, rows)
    print(f"{len(rows)} {words} ({route}), {draws} draws each: {output}")
    return rows


def _of_reports(file: Path) -> bool:
    """Whether a file is the JSON of an earlier call."""
    from msflow_jax.storage.jsons import read_object

    try:
        rows = read_object(file)["reports"]
        return isinstance(rows, list) and all(set(_HEADER) <= set(row) for row in rows)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--images", type=named, required=True, help="an image, a folder or an .npz")
    flags.add_argument("--source", required=True, help="modality of the images")
    flags.add_argument("--output", default=Path("reports.csv"), type=file_path)
    flags.add_argument("--draws", **whole(), default=4, help="draws of each report")
    flags.add_argument("--seed", **whole(SEED), help="seed of the noise (default: as configured)")
    flags.add_argument("--steps", **whole(), help="solver steps (default: as configured)")
    add_resize(flags)
    add_overwrite(flags, "--output where it is not a table of an earlier call")
    o = flags.parse_args(arguments)
    start()
    report(
        o.workdir, o.images, o.source, o.output, draws=o.draws, seed=o.seed, steps=o.steps,
        resize=o.resize, overwrite=o.overwrite,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
