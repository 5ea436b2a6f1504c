"""Puts the page together and writes it."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msflow_jax.progress import doing
from msflow_jax.reports import general, page
from msflow_jax.reports.evaluations import evaluations_section, page_name
from msflow_jax.reports.results import Results, read_results
from msflow_jax.reports.sections import named_section
from msflow_jax.reports.summary import summary_section
from msflow_jax.storage import evaluations
from msflow_jax.storage.atomic import write_atomically
from msflow_jax.storage.parameters import Parameters

_ANY = Parameters()
_FOOTER = "<footer>Written by msflow_jax."


def build_report(workdir: Path, now: Parameters = _ANY) -> Path:
    """Writes ``report/index.html``, a self-contained page, from the files of a workdir.

    Reads config.json, manifest.json, metrics.jsonl and the evaluations; a file that is missing or
    damaged is named on the page. The page needs no network, script or other file. It shows the
    evaluation that stands; others have a page of their own beside it, ``report/NAME.html``.
    Pages of evaluations that are called otherwise since, or stand now, are removed.

    Args:
        workdir: folder that training and evaluation wrote.
        now: the parameters that the run is used with; pages of others say so. By default not known.

    Returns:
        Path of the page ``index.html``.

    Raises:
        FileNotFoundError: the folder is not there.
    """
    workdir = Path(workdir)
    first = read_results(workdir)
    others = [
        read_results(workdir, name) for name in _names(workdir) if name != first.evaluation_name
    ]
    first = dataclasses.replace(first, first=True)
    every = [dataclasses.replace(one, other=_other(one, now)) for one in (first, *others)]
    with doing("writing the report"):
        for one in reversed(every):
            content = render(one, [other for other in every if other is not one])
            # JSON can hold half a surrogate pair, UTF-8 cannot.
            path = workdir / "report" / page_name(one)
            write_atomically(path, content.encode("utf-8", "replace"))
        _remove_others(path.parent, {page_name(one) for one in every})
    return path


def _other(results: Results, now: Parameters) -> str:
    """What tells the parameters of an evaluation from others; one of a stage alone is never applied."""
    if results.part("settings").get("stage"):
        return ""
    return evaluations.parameters_of(results.evaluation).difference(now)


def _remove_others(folder: Path, written: set[str]) -> None:
    """Removes pages that earlier calls wrote of an evaluation by its name, and this one did not."""
    for file in folder.glob("*.html"):
        if file.name not in written and file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            name = re.escape(file.stem)
            if _FOOTER in text and re.search(rf'"subtitle">.*\b{name}( split)?, workdir ', text):
                file.unlink()


def _names(workdir: Path) -> list[str]:
    try:
        return evaluations.names(workdir)
    except ValueError:  # named on the page
        return []


def render(results: Results, others: Sequence[Results] = ()) -> str:
    """The page as a string: what every workdir has, around the sections that the evaluation names.

    Args:
        results: what the workdir holds, with the evaluation of this page.
        others: the same with each other evaluation.
    """
    found = [
        summary_section(results),
        evaluations_section(results, others),
        general.data_section(results),
        general.training_section(results),
        *(named_section(results, name) for name in results.sections),
        general.configuration_section(results),
    ]
    name = results.data_name or results.name
    subtitle = (
        f"{results.family} family" if results.family else "",
        _of(results),
        f"workdir {results.name}",
    )
    return page.render(
        "base",
        title=name,
        subtitle=", ".join(words for words in subtitle if words),
        badge="phantom data" if results.phantom else "",
        volumes=bool(results.planes),
        sections=list(_addressed(one for one in found if one)),
    )


def _of(results: Results) -> str:
    """What is evaluated, in words."""
    split = results.evaluation.get("split")
    if not split or split == results.evaluation_name:
        return f"{split} split" if split in ("train", "val", "test") else str(split or "")
    return f"{split} split, evaluation {results.evaluation_name}"


def _addressed(sections: Iterable[page.Section]) -> Iterator[page.Section]:
    """The sections under identifiers that can stand in an address, each a different one."""
    taken: set[str] = set()
    for section in sections:
        base = re.sub(r"[^A-Za-z0-9_-]+", "-", section.name).strip("-") or "section"
        name, turn = base, 1
        while name in taken:
            turn += 1
            name = f"{base}-{turn}"
        taken.add(name)
        yield dataclasses.replace(section, name=name)
