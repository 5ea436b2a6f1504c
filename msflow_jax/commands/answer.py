"""Answer questions on registered images: which slice, which modality, which instruction.

    python -m experiments.answer --workdir=W --questions=FOLDER/understanding.jsonl --output=answers.csv
    python -m experiments.answer --workdir=W --images=PATH --output=modalities.csv

The first reads the public JSONL format (msflow build-understanding writes it) and scores the answers:
the last letter A to D, accuracy of each pair of modalities, confusion. The second says of every image
which modality it shows; images are of 8 bits, as the model sees them. A row for each: what is said, how
sure that is, and what was asked for.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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

_QUESTIONS = ("id", "answer", "probability", "reply")
_IMAGES = ("name", "modality", "probability")
FORMS = ("direct", "letter")


def answer(
    workdir: Path,
    questions: Path,
    output: Path,
    *,
    form: str = "direct",
    resize: bool | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Answer the questions of a file and write the table; returns the scores.

    Args:
        workdir: workdir of a model that understands.
        questions: JSONL file.
        output: the CSV to write; beside it the scores, as JSON.
        form: ``direct``, by comparing vectors, or ``letter``, read off the expert.
        resize: whether images of another size are brought to the model's; None: as in training.
        overwrite: whether another file than an earlier table is replaced.

    Raises:
        ValueError: a model that answers nothing, or a line that is not of the format.
        OSError: a file that cannot be read or written.
    """
    from msflow_jax.inference.answered import read_pictures, replies_to
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
    require_csv(output)
    beside = check_file(output.with_suffix(".json"), scored, given, overwrite, True)
    flow = open_workdir(workdir)
    flow.require("answer")

    def images(files: Sequence[Path]) -> Any:
        return read_pictures(flow, files, resize=flow.resizes(resize))

    with _of(questions):
        asked = flow.parts.read(questions, images, flow.model)
        said = replies_to(flow, asked, form, "answering")
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


@contextmanager
def _of(questions: Path) -> Iterator[None]:
    """Errors on lines name their file."""
    try:
        yield
    except ValueError as error:
        if str(error).startswith(str(questions)):
            raise
        raise ValueError(f"{questions}: {error}") from error


def identify(
    workdir: Path, images: str, output: Path, *, resize: bool | None = None, overwrite: bool = False
) -> list[dict[str, Any]]:
    """Say of every image which modality it shows; returns the rows of the table.

    Args:
        workdir: workdir of a model that understands.
        images: an image, a folder, or an .npz.
        output: the CSV to write.
        resize: whether images of another size are brought to the model's; None: as in training.
        overwrite: whether another file than an earlier table is replaced.

    Raises:
        ValueError: a model that answers nothing, or images that do not fit.
        OSError: a file that cannot be read or written.
    """
    from msflow_jax import data
    from msflow_jax.inference.answered import eight_bits, require_modalities
    from msflow_jax.storage.outputs import check_file
    from msflow_jax.storage.text import begins_with, write_csv
    from msflow_jax.workdir import open_workdir

    def ours(file: Path) -> bool:
        return begins_with(file, _IMAGES)

    output = check_file(output, ours, [workdir, source_path(images)], overwrite)
    require_csv(output)
    flow = open_workdir(workdir)
    require_modalities(flow)
    known = tuple(flow.model.modalities)
    read, names = data.read_images(images, eight_bits(flow), resize=flow.resizes(resize))
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
    which.add_argument("--images", type=named, help="images whose modality is asked for")
    flags.add_argument("--output", required=True, type=file_path, help="the CSV to write")
    flags.add_argument("--form", default="direct", choices=FORMS, help="how answers are found")
    add_resize(flags)
    add_overwrite(flags, "another file than an earlier table")
    o = flags.parse_args(arguments)
    flags.refuse_without(o, "questions", "form")
    start()
    if o.questions:
        answer(
            o.workdir, o.questions, o.output, form=o.form, resize=o.resize, overwrite=o.overwrite
        )
    else:
        identify(o.workdir, o.images, o.output, resize=o.resize, overwrite=o.overwrite)


if __name__ == "__main__":
    run(main)
