"""Puts the page together and writes it."""

import dataclasses
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from msflow_jax.progress import doing
from msflow_jax.reports import general, page
from msflow_jax.reports.results import Results, read_results
from msflow_jax.reports.sections import named_section
from msflow_jax.reports.summary import summary_section
from msflow_jax.storage.atomic import write_atomically


def build_report(workdir: Path) -> Path:
    """Writes ``report/index.html``, one self-contained page, from the files of a workdir.

    Reads config.json, manifest.json, metrics.jsonl, evaluation.json and evaluation.npz; a file that
    is missing or damaged is named on the page. The page needs no network, script or other file.

    Args:
        workdir: folder that training and evaluation wrote.

    Returns:
        Path of the page.

    Raises:
        FileNotFoundError: the folder is not there.
    """
    workdir = Path(workdir)
    with doing("writing the report"):
        content = render(read_results(workdir))
    # JSON can hold half a surrogate pair, UTF-8 cannot.
    return write_atomically(workdir / "report" / "index.html", content.encode("utf-8", "replace"))


def render(results: Results) -> str:
    """The page as a string: what every workdir has, around the sections that the evaluation names."""
    found = [
        summary_section(results),
        general.data_section(results),
        general.training_section(results),
        *(named_section(results, name) for name in results.sections),
        general.configuration_section(results),
    ]
    name = str(results.data.get("name") or results.name)
    subtitle = (
        f"{results.family} family" if results.family else "",
        f"{results.evaluation['split']} split" if results.evaluation.get("split") else "",
        f"workdir {results.name}",
    )
    return page.render(
        "base",
        title=name,
        subtitle=", ".join(words for words in subtitle if words),
        badge="phantom data" if results.phantom else "",
        sections=list(_addressed(one for one in found if one)),
    )


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
