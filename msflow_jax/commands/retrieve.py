"""Find the nearest images or reports of another modality, by the common space of the encoders.

    python -m experiments.retrieve --workdir=W --images=PATH --source=xray --among=FOLDER --target=ct

PATH and FOLDER are an image, a folder or an .npz; of reports (--target=report) a folder of .txt files or
a CSV with a column report. The table has a row for each image and rank: name, rank, found, similarity
(the cosine of both vectors). A pair of modalities that was never aligned directly is called emergent.
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

_HEADER = ("name", "route", "rank", "found")  # what our tables begin with


def retrieve(
    workdir: Path,
    images: str,
    source: str,
    among: str,
    target: str,
    output: Path,
    *,
    top: int = 5,
    resize: bool | None = None,
    overwrite: bool = False,
) -> list[dict[str, Any]]:
    """Find and write the table; returns its rows.

    Args:
        workdir: workdir of a model of several modalities.
        images: what is looked for partners of.
        source: its modality.
        among: where partners are looked for.
        target: their modality.
        output: the CSV to write.
        top: ranks of each image.
        resize: whether images of another size are brought to the model's; None: as in training.
        overwrite: whether another file than an earlier table is replaced.

    Raises:
        ValueError: a model of one modality, an unknown one, or what does not fit.
        OSError: an output that cannot be written.
    """
    from msflow_jax.inference.standing_routes import read_standing
    from msflow_jax.storage.outputs import check_file
    from msflow_jax.storage.text import begins_with, write_csv
    from msflow_jax.workdir import open_workdir

    def ours(file: Path) -> bool:
        return begins_with(file, _HEADER)

    if top < 1:
        raise ValueError(f"--top must be at least 1, got {top}")
    places = [workdir, source_path(images), source_path(among)]
    output = check_file(output, ours, places, overwrite)
    require_csv(output)
    flow = open_workdir(workdir)
    if not getattr(flow.model, "modalities", ()):
        raise ValueError(
            f"the model of {workdir} is of one kind of image, and there is nothing of another to find: "
            "train one of several modalities, medm2g_* of msflow configs"
        )
    flow.require("translate")
    standing = read_standing(workdir)
    here, names, seen = read(flow, images, source, flow.resizes(resize))
    there, others, among_them = read(flow, among, target, flow.resizes(resize))
    for name, given in ((source, seen), (target, among_them)):
        if given is not None:
            standing.warn_unlike(given, name)
    similarity = flow.embed(source, here) @ flow.embed(target, there).T
    route = flow.model.near(source, target)
    rows = []
    for name, row in zip(names, similarity, strict=True):
        for rank, k in enumerate((-row).argsort(kind="stable")[:top], 1):
            rows.append({
                "name": name, "route": route, "rank": rank, "found": others[k],
                "similarity": float(row[k]),
            })  # fmt: skip
    write_csv(output, rows)
    print(f"{len(names)} of {source} among {len(others)} of {target} ({route}): {output}")
    return rows


def read(flow: Any, place: str, name: str, resize: bool) -> tuple[Any, Sequence[str], Any]:
    """Images, or rows of tokens, of a modality, what they are called, and what was read of images."""
    from msflow_jax import data
    from msflow_jax.data.sources.grey.values import refuse_broken
    from msflow_jax.storage.places import expand

    if name != "report":
        seen = data.read_sound_images(place, flow.images_of(name), resize=resize)
        refuse_broken(seen.errors)
        return seen.images, seen.names, seen
    flow.require("report")
    texts = read_texts(expand(place))
    return flow.parts.tokeniser.encode(list(texts.values()), str(place)), tuple(texts), None


def read_texts(place: Path) -> dict[str, str]:
    """Reports by their file, or by their line in a CSV.

    Raises:
        FileNotFoundError: there is nothing, or no text.
        ValueError: a .txt file that is empty or no text in UTF-8; as of ``read_table``: a CSV without a
            column ``report``, or with cells that run over.
    """
    from msflow_jax.data.sources.tables.reading import read_table
    from msflow_jax.storage.text import read_utf8

    if place.is_dir():
        files = sorted(file for file in place.rglob("*") if file.suffix.lower() == ".txt")
        if not files:
            raise FileNotFoundError(f"no .txt file in {place}: name a folder of reports, or a CSV")
        texts = {file.relative_to(place).as_posix(): read_utf8(file) for file in files}
        if empty := [name for name, text in texts.items() if not text.strip()]:
            raise ValueError(f"{place / empty[0]} is empty: take it out, or write its report")
        return texts
    header, rows = read_table(place, ("report",), texts=("report",))
    at = header.index("report")
    return {f"line {number}": cells[at] for number, cells in rows}


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--images", type=named, required=True, help="what is looked for partners of")
    flags.add_argument("--source", required=True, help="its modality, or report")
    flags.add_argument("--among", type=named, required=True, help="where partners are looked for")
    flags.add_argument("--target", required=True, help="their modality, or report")
    flags.add_argument("--output", default=Path("retrieved.csv"), type=file_path)
    flags.add_argument("--top", **whole(), default=5, help="ranks of each image")
    add_resize(flags)
    add_overwrite(flags, "--output where it is not a table of an earlier call")
    o = flags.parse_args(arguments)
    start()
    retrieve(
        o.workdir, o.images, o.source, o.among, o.target, o.output, top=o.top, resize=o.resize,
        overwrite=o.overwrite,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
