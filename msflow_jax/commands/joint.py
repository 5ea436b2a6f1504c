"""What ``generate`` does with a model of several modalities: from a text, or together from nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RECORD = "generated.json"


def draw_modalities(
    flow: Any,
    output: Path,
    partial: Path,
    *,
    texts: Sequence[str] = (),
    modalities: Sequence[str] = (),
    count: int | None = None,
    seed: int,
    file_format: str = "",
    requested: Mapping[str, Any],
) -> None:
    """Draw modalities of ``count`` examples, of each text or in all, and write them.

    Args:
        flow: opened workdir of a model of several modalities.
        output: folder to write.
        partial: folder of what was drawn before Ctrl-C.
        texts: reports to draw from; none: from nothing.
        modalities: what to draw; none: with texts the images linked with reports, else all.
        count: examples; None: ``sample.generate.count``.
        seed: seed of the noise.
        file_format: as of :func:`msflow_jax.commands.generate.generate`.
        requested: settings of the model's ``generate``; 0 or empty: as configured.

    Raises:
        ValueError: an unknown modality, texts for a model without reports, a setting it has not.
        KeyboardInterrupt: Ctrl-C; what was drawn is in ``partial``.
    """
    import numpy as np

    from msflow_jax.inference import together
    from msflow_jax.parallel.batched import Interrupted
    from msflow_jax.parallel.startup import is_first
    from msflow_jax.storage.atomic import new_folder
    from msflow_jax.storage.jsons import write_json

    text, sources = together.text_of(flow.model), {}
    if texts:
        flow.require("report")
        sources = {text: flow.parts.tokeniser.encode(texts, "the given text")}
    names = tuple(modalities) or together.usual(flow.model, text if texts else "")
    for name in names:
        flow.model.require(name)
    if text in names and texts:
        raise ValueError(f"--modalities: {text} is what is given: leave it out, or --text")
    kinds = together.formats(flow.info, [name for name in names if name != text], file_format)
    count = count or flow.config.sample.generate.count
    repeated = np.repeat(np.array(texts, object), count).tolist()
    total = len(repeated) or count
    record = {
        "workdir": str(flow.path), "step": flow.step, "seed": seed, "modalities": list(names),
        "given": list(sources), "routes": together.routes(flow.model, [*sources, *names]),
        **flow.settings("generate", requested),
    }  # fmt: skip

    def write(place: Path, drawn: Any) -> None:
        with new_folder(place, replace=True) as folder:
            found = together.write_together(folder, drawn, flow.info, kinds, repeated)
            write_json(folder / RECORD, {**record, **found})

    given: Any = dict(sources=sources, seed=seed, description=f"generating {', '.join(names)}")
    try:
        drawn = flow.generate_modalities(names, count, **given, **requested)
    except Interrupted as stop:
        record["stopped"] = f"by Ctrl-C after {stop.count} of {total} examples"
        write(partial, stop.partial)
        raise stop.kept(total, partial) from stop
    if not is_first():
        return
    write(output, drawn)
    emergent = [route for route, word in record["routes"].items() if word == "emergent"]
    said = f" (emergent: {', '.join(emergent)})" if emergent else ""
    print(f"{total} examples of {', '.join(names)}{said}: {output}")


def read_texts(texts: Sequence[str], file: Path | None) -> tuple[str, ...]:
    """Reports from the command line, then those of a file, a line each.

    Raises:
        ValueError: an empty one, or a file that is no text in UTF-8.
        OSError: the file cannot be read.
    """
    if any(not text.strip() for text in texts):
        raise ValueError("--text is empty: give a report in words, or leave it out")
    from msflow_jax.storage.text import read_utf8

    if file is None:
        return tuple(texts)
    lines = read_utf8(file).splitlines()
    if not lines:
        raise ValueError(f"{file} is empty: write a report in each line")
    if empty := [i for i, line in enumerate(lines, 1) if not line.strip()]:
        raise ValueError(f"{file}: line {empty[0]} is empty, and each is a report: take it out")
    return (*texts, *lines)
