"""Classify images with an uncertainty attached: class, probabilities, abstention, to a CSV.

    python -m experiments.classify --workdir=runs/quickstart --images=PATH --output=predictions.csv

PATH is an image, a folder (read with its sub-folders), or an .npz (FILE.npz:test: a MedMNIST split);
DICOM and NIfTI files are images too. A model of several modalities is told by --modality which one they
are of. Where slices of volumes or DICOM series are classified, predictions.series.csv has a row for each
of them. Columns: the page Tables of the documentation. After Ctrl-C what was classified is in
OUTPUT.partial.
"""

import contextlib
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import (
    add_distributed,
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
from msflow_jax.commands.numbers import fraction, whole

# What our tables begin with; others are not overwritten.
_HEADER = ("name", "label", "class")


def classify(
    workdir: Path,
    images: str,
    output: Path,
    *,
    draws: int | None = None,
    steps: int | None = None,
    keep: float = 0.8,
    measure: str = "distance",
    outside: float = 0.01,
    sets: Mapping[str, Any] | None = None,
    modality: str = "",
    resize: bool | None = None,
    overwrite: bool = False,
    skip_broken: bool = False,
) -> list[dict[str, Any]]:
    """Classify and write the CSV; returns its rows. Of several processes the first one does so.

    Args:
        workdir: workdir of a trained model.
        images: an image, a folder, or an .npz; ``output``: the CSV to write.
        draws, steps: noise draws and solver steps, None as evaluated, or as configured.
        keep: fraction of the validation split that would be kept; the rest abstains.
        measure: uncertainty that decides (``distance`` is the published one).
        outside: p-value up to which an image is of another kind, and abstained from; 0: never.
        sets: ``coverage``, ``score``, ``by_class`` of conformal sets, see ``inference.sets.sets_of``.
        modality: what the images are of, for a model of several modalities.
        resize: whether images of another size are brought to the model's; None: as in training.
        overwrite: whether another file than an earlier table is replaced.
        skip_broken: whether images that cannot be read get a row with their ``error``, and no more.

    Raises:
        ValueError, OSError: an output that must not or cannot be written, what the model cannot read.
        KeyboardInterrupt: Ctrl-C; the rows so far are in ``OUTPUT.partial``.
    """
    from msflow_jax import data
    from msflow_jax.data.sources.grey.values import refuse_broken
    from msflow_jax.inference.predicted import tabulate
    from msflow_jax.parallel.batched import Interrupted
    from msflow_jax.parallel.startup import is_first
    from msflow_jax.storage.outputs import check_both, check_file
    from msflow_jax.storage.text import write_csv
    from msflow_jax.workdir import open_workdir

    inputs = [workdir, source_path(images)]
    output, partial = check_both(check_file, output, _ours, inputs, overwrite)
    require_csv(output)
    by_series, _ = check_both(check_file, of_series(output), _of_volumes, inputs, overwrite, True)
    flow = open_workdir(workdir)
    flow.require("classify")
    _check(flow, keep, measure, outside, sets)
    with _errors_kept(output if skip_broken and is_first() else None):
        resize = flow.resizes(resize)
        read = data.read_sound_images(images, flow.info_of(modality), resize=resize)
    refuse_broken(() if skip_broken else read.errors, "; --skip-broken goes on without them")
    requested, stopped = {"draws": draws, "steps": steps}, None
    try:
        out = flow.classify(read.images, description="classifying", **requested)
    except Interrupted as stop:
        out, stopped = stop.partial, stop
    if not is_first():
        return []
    given: Any = dict(keep=keep, measure=measure, outside=outside, sets=sets, requested=requested)
    rows, rejections, lines = tabulate(flow, out, read, **given)
    for line in lines:
        print(line, file=sys.stderr)
    if stopped:
        write_csv(partial, rows)
        raise stopped.kept(len(read.names), partial) from stopped
    rows = add_broken(rows, read.broken) if skip_broken else rows
    write_csv(output, rows)
    _write_series(by_series, out, read, str(flow.calibration), rejections)
    partial.unlink(missing_ok=True)  # of an earlier call that was stopped
    print(f"{len(read.names)} images, {_note(flow.calibration, rejections, read.broken)}: {output}")
    return rows


@contextlib.contextmanager
def _errors_kept(output: Path | None) -> Iterator[None]:
    """Where no image can be read, the error says so, and a table (None: none) has that of each."""
    from msflow_jax.data.sources.grey.values import NoneSound
    from msflow_jax.storage.text import write_csv

    try:
        yield
    except NoneSound as none:
        if output:
            write_csv(output, add_broken([dict.fromkeys(_HEADER, "")], none.broken)[1:])
            _remove_series(of_series(output))
            print(f"no image could be read, the error of each: {output}", file=sys.stderr)
        raise


def _ours(file: Path) -> bool:
    """Whether a file is a table of an earlier call."""
    from msflow_jax.storage.text import begins_with

    return begins_with(file, _HEADER)


def _check(flow: Any, keep: float, measure: str, outside: float, sets: Any) -> None:
    """Refuses before the work what cannot be."""
    from msflow_jax.inference.kinds import check_level
    from msflow_jax.inference.sets import check_sets

    flow.calibration.threshold(measure, keep)
    check_level(outside, flow.calibration.outside)
    if sets:
        check_sets(flow.calibration.conformal, sets["coverage"], flow.path)


def _write_series(
    output: Path, out: Any, read: Any, evaluation: str, rejections: Any = None
) -> None:
    """The table of series; without slices of any, one of an earlier call would be of other images."""
    from msflow_jax.inference.tables import series_rows
    from msflow_jax.storage.text import write_csv

    if series := series_rows(out, read.series, read.subjects, evaluation, rejections):
        write_csv(output, series)
        print(f"{len(series)} volumes or series: {output}")
    else:
        _remove_series(output)


def _of_volumes(file: Path) -> bool:
    """Whether a file is a table of series of an earlier call, not one of images."""
    if not _ours(file):
        return False
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        return {"slices", "agree"} <= set(next(csv.reader(lines)))


def _remove_series(output: Path) -> None:
    """Removes the table of series of an earlier call, which is of other images."""
    if output.is_file() and _of_volumes(output):
        output.unlink()
        print(f"{output} is removed: it was of an earlier call's images", file=sys.stderr)


def _note(calibration: Any, rejections: Any, broken: Mapping[str, str]) -> str:
    """What became of abstention, and of what could not be read, in words."""
    skipped = f", {len(broken)} could not be read" if broken else ""
    if rejections is None:
        return f"{calibration.reason}, so no abstention{skipped}"
    count = sum(map(any, zip(*rejections.values(), strict=True)))
    why = ", ".join(f"{mask.sum()} {words}" for words, mask in rejections.items())
    return f"abstained on {count} ({why}) by the evaluation {calibration}{skipped}"


def of_series(output: Path) -> Path:
    """The table of series beside that of images: ``predictions.series.csv``."""
    return output.with_name(f"{output.stem}.series{output.suffix}")


def add_broken(rows: Sequence[dict[str, Any]], broken: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows with a further column ``error``, and one for each image that could not be read."""
    empty = dict.fromkeys([*rows[0], "error"], "")
    found = [{**empty, **row} for row in rows]
    return found + [{**empty, "name": name, "error": error} for name, error in broken.items()]


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--images", type=named, required=True, help="an image, a folder or an .npz")
    flags.add_argument("--output", default=Path("predictions.csv"), type=file_path)
    flags.add_argument("--draws", **whole(), help="noise draws (default: as evaluated)")
    flags.add_argument("--steps", **whole(), help="solver steps (default: as evaluated)")
    flags.add_argument(
        "--keep", **fraction("(0, 1]"), default=0.8, help="fraction of images to classify"
    )
    flags.add_argument("--measure", default="distance", help="uncertainty that decides to abstain")
    flags.add_argument(
        "--outside", **fraction("[0, 1)"), default=0.01,
        help="p-value up to which an image is of another kind, and abstained from; 0: never",
    )  # fmt: skip
    flags.add_argument(
        "--coverage", **fraction("(0, 1)"),
        help="adds conformal sets, which hold the true class at this rate, such as 0.9",
    )  # fmt: skip
    flags.add_argument("--score", default="aps", choices=("lac", "aps", "raps"), help="of the sets")
    flags.add_argument(
        "--by-class", action="store_true", help="the rate of the sets holds within each class"
    )
    flags.add_argument("--modality", default="", help="of the images, for a model of several")
    add_resize(flags)
    flags.add_argument(
        "--skip-broken", action="store_true", help="go on after an unreadable image, with its error"
    )
    add_distributed(flags)
    add_overwrite(flags, "--output where it is not a table of an earlier call")
    o = flags.parse_args(arguments)
    flags.refuse_without(o, "coverage", "score", "by_class")
    start(o.distributed)
    sets = dict(coverage=o.coverage, score=o.score, by_class=o.by_class) if o.coverage else None
    classify(
        o.workdir, o.images, o.output, draws=o.draws, steps=o.steps, keep=o.keep, sets=sets,
        outside=o.outside, measure=o.measure, modality=o.modality, resize=o.resize,
        overwrite=o.overwrite, skip_broken=o.skip_broken,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
