"""Answer questions on registered images: which slice, which modality, which instruction.

    python -m experiments.answer --workdir=W --questions=FOLDER/understanding.jsonl --output=answers.csv
    python -m experiments.answer --workdir=W --images=PATH --output=modalities.csv

The first reads the public JSONL format (tools/build_understanding.py writes it) and scores the answers:
the last letter A to D, accuracy of each pair of modalities, confusion. The second says of every image
which modality it shows; images are of 8 bits, as the model sees them. A row for each: what is said, how
sure that is, and what was asked for.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import (
    RESIZE,
    add_overwrite,
    file_path,
    parser,
    path,
    run,
    source_path,
)

_QUESTIONS = ("id", "answer", "probability", "reply")
_IMAGES = ("name", "modality", "probability")
FORMS = ("direct", "letter")


def answer(
    workdir: Path,
    questions: Path,
    output: Path,
    *,
    form: str = "direct",
    resize: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Answer the questions of a file and write the table; returns the scores.

    Args:
        workdir: workdir of a model that understands.
        questions: JSONL file.
        output: the CSV to write; beside it the scores, as JSON.
        form: ``direct``, by comparing vectors, or ``letter``, read off the expert.
        resize: whether images of another size are brought to the model's.
        overwrite: whether another file than an earlier table is replaced.

    Raises:
        ValueError: a model that answers nothing, or a line that is not of the format.
        OSError: a file that cannot be read or written.
    """
    from msflow_jax.data.sources.images import read_listed
    from msflow_jax.storage.evaluations import names, read
    from msflow_jax.storage.jsons import read_object, write_json
    from msflow_jax.storage.outputs import check_file
    from msflow_jax.storage.text import begins_with, write_csv
    from msflow_jax.workdir import open_workdir

    def ours(file: Path) -> bool:
        return begins_with(file, _QUESTIONS)

    def scored(file: Path) -> bool:
        try:
            return "confusion" in read_object(file)
        except ValueError:
            return False

    if output.suffix.lower() != ".csv":
        raise ValueError(
            f"--output={output}: the table is a .csv; its scores lie beside it as .json"
        )
    given = [workdir, questions]
    output = check_file(output, ours, given, overwrite)
    beside = check_file(output.with_suffix(".json"), scored, given, overwrite)
    flow = open_workdir(workdir)
    flow.require("answer")
    info = eight_bits(flow)

    def images(files: Sequence[Path]) -> Any:
        found, of = read_listed(files, [file.name for file in files], info, resize=resize)
        if of != list(range(len(files))):
            odd = next(i for i in range(len(files)) if of.count(i) != 1)
            raise ValueError(f"{files[odd]} is not one picture: a question shows pictures")
        return found.images

    asked = flow.parts.read(questions, images)
    found = flow.answer(asked.arrays, description="answering")
    # Their temperatures: those of the standing evaluation, or of any.
    evaluation = read(workdir, kept[0]) if (kept := names(workdir)) else {}
    said = asked.replies(found, flow.model, form, evaluation)
    rows = [
        {"id": line.id, "answer": one.pop("answer"), "probability": one.pop("probability"),
         "reply": line.reply, **{f"probability_{k}": one.get(f"probability_{k}", "") for k in "ABCD"}}
        for line, one in zip(asked.lines, said, strict=True)
    ]  # fmt: skip
    write_csv(output, rows)
    scores = asked.score([row["answer"] for row in rows])
    write_json(beside, scores)
    print(f"{len(rows)} questions answered: {output}")
    for what, found in (("letters", scores), ("panels", scores["panels"])):
        if found["count"]:
            print(f"{what}: {100 * found['accuracy']:.1f} % of {found['count']} right")
    return scores


def eight_bits(flow: Any) -> Any:
    """What images of any modality must be: as the model sees them, since a window is of one alone."""
    first = flow.info.of_modality(next(iter(flow.model.modalities)))
    return dataclasses.replace(first, intensities={}, value_range=())


def identify(
    workdir: Path, images: str, output: Path, *, resize: bool = False, overwrite: bool = False
) -> list[dict[str, Any]]:
    """Say of every image which modality it shows; returns the rows of the table.

    Args:
        workdir: workdir of a model that understands.
        images: an image, a folder, or an .npz.
        output: the CSV to write.
        resize: whether images of another size are brought to the model's.
        overwrite: whether another file than an earlier table is replaced.

    Raises:
        ValueError: a model that answers nothing, or images that do not fit.
        OSError: a file that cannot be read or written.
    """
    from msflow_jax import data
    from msflow_jax.storage.outputs import check_file
    from msflow_jax.storage.text import begins_with, write_csv
    from msflow_jax.workdir import open_workdir

    def ours(file: Path) -> bool:
        return begins_with(file, _IMAGES)

    output = check_file(output, ours, [workdir, source_path(images)], overwrite)
    flow = open_workdir(workdir)
    flow.require("answer")
    known = tuple(flow.model.modalities)
    if "identification" not in flow.model.taught:
        raise ValueError(f"the model of {workdir} was never taught what modalities look like")
    read, names = data.read_images(images, eight_bits(flow), resize=resize)
    chances = flow.identify(read, description="identifying")
    rows = [
        {"name": name, "modality": known[int(row.argmax())], "probability": float(row.max()),
         **{f"probability_{k}": float(p) for k, p in zip(known, row, strict=True)}}
        for name, row in zip(names, chances, strict=True)
    ]  # fmt: skip
    write_csv(output, rows)
    print(f"{len(rows)} images identified: {output}")
    return rows


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    which = flags.add_mutually_exclusive_group(required=True)
    which.add_argument("--questions", type=path, help="a JSONL file of questions")
    which.add_argument("--images", help="images whose modality is asked for")
    flags.add_argument("--output", required=True, type=file_path, help="the CSV to write")
    flags.add_argument("--form", default="direct", choices=FORMS, help="how answers are found")
    flags.add_argument("--resize", action="store_true", help=RESIZE)
    add_overwrite(flags, "another file than an earlier table")
    o = flags.parse_args(arguments)

    from msflow_jax.parallel.startup import start_jax

    start_jax()
    if o.questions:
        answer(
            o.workdir, o.questions, o.output, form=o.form, resize=o.resize, overwrite=o.overwrite
        )
    else:
        identify(o.workdir, o.images, o.output, resize=o.resize, overwrite=o.overwrite)


if __name__ == "__main__":
    run(main)
