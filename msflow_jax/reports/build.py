"""Puts the page together and writes it: a section of the report for every section of the evaluation."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from msflow_jax.reports import gallery, likelihood, page, sections
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results, read_results
from msflow_jax.reports.summary import summary_section
from msflow_jax.storage.atomic import write_atomically

Make = Callable[[Results], Section]

# What the page shows of a section of the evaluation, by its name; one that is not here is shown as its
# facts and its images.
SECTIONS: Mapping[str, tuple[Make, ...]] = {
    "classification": (sections.classification_section, gallery.cases_section),
    "calibration": (),  # within the classification
    "abstain": (),  # thresholds for commands, not for people
    "segmentation": (gallery.segmentation_section,),
    "generation": (gallery.samples_section, gallery.generation_section),
    "likelihood": (likelihood.likelihood_section,),
    "explanation": (likelihood.explanation_section,),
    "temperatures": (likelihood.temperatures_section,),
    "paths": (gallery.paths_section,),
}


def build_report(workdir: Path) -> Path:
    """Writes ``report/index.html``, one self-contained page, from the files of a workdir.

    Reads config.json, manifest.json, metrics.jsonl, evaluation.json and evaluation.npz; a file that
    is missing or damaged is named on the page. The page needs no network, script or other file.

    Args:
        workdir: folder that training and evaluation wrote.

    Returns:
        Path of the page.

    Raises:
        FileNotFoundError: if the folder is not there.
    """
    workdir = Path(workdir)
    content = render(read_results(workdir))
    return write_atomically(workdir / "report" / "index.html", content.encode("utf-8"))


def render(results: Results) -> str:
    """The page as a string."""
    parts = [
        summary_section(results), sections.data_section(results), sections.training_section(results)
    ]  # fmt: skip
    for name in results.sections:
        if name in SECTIONS:
            parts += [make(results) for make in SECTIONS[name]]
        else:
            parts.append(generic_section(results, name))
    parts.append(_configuration(results))
    split = results.evaluation.get("split")
    subtitle = (
        f"{results.family} family" if results.family else "",
        f"{split} split" if split else "",
        f"workdir {results.name}",
    )
    return page.render(
        "page",
        title=str(results.data.get("name") or results.name),
        subtitle=", ".join(filter(None, subtitle)),
        badge="phantom data" if results.phantom else "",
        sections=parts,
        style=page.style(),
    )


def generic_section(results: Results, name: str) -> Section:
    """A section that the report does not know: its facts, and its arrays ``NAME_*`` that are images.

    Args:
        results: contents of the workdir.
        name: name of the section in the evaluation.
    """
    title = name.replace("_", " ").capitalize()
    images = []
    for key, array in results.arrays.items():
        picture = array.ndim == 4 and array.dtype == np.uint8 and array.shape[-1] in (1, 3)
        if key.startswith(f"{name}_") and picture and len(array):
            words = key.removeprefix(f"{name}_").replace("_", " ")
            strip = page.image_strip(array[:8], f"{len(array[:8])} images: {words}", 8)
            images.append({"title": words, "image": strip})
    content = page.render(
        "generic", block=results.part(name), images=images, phantom=results.phantom
    )
    return Section(name, title, title, content)


def _configuration(results: Results) -> Section:
    blocks = [
        {"title": title, "shown": values}
        for title, values in (
            ("Evaluation settings", results.part("settings")),
            ("Configuration (config.json)", results.config),
            ("Manifest (manifest.json): versions, device, data, seed", results.manifest),
        )
    ]
    content = page.render("configuration", blocks=blocks)
    return Section("configuration", "Configuration", "Configuration and manifest", content)
