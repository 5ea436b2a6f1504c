"""Puts the page together and writes it."""

from pathlib import Path

from msflow_jax.reports import gallery, likelihood, page, sections
from msflow_jax.reports.results import Results, read_results
from msflow_jax.reports.summary import summary_section
from msflow_jax.storage.atomic import write_atomically


def build_report(workdir: Path) -> Path:
    """Writes `report/index.html`, one self-contained page, from the files of a workdir.

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
        ("summary", "Summary", summary_section(results)),
        ("data", "Data", sections.data_section(results)),
        ("training", "Training", sections.training_section(results)),
        ("classification", "Classification", sections.classification_section(results)),
        ("likelihood", "Likelihood", likelihood.likelihood_section(results)),
        ("cases", "Cases", gallery.cases_section(results)),
        ("why", "Why", likelihood.why_section(results)),
        ("segmentation", "Segmentation", gallery.segmentation_section(results)),
        ("samples", "Generated images", gallery.samples_section(results)),
        ("temperatures", "Temperatures", likelihood.temperatures_section(results)),
        ("trajectories", "Trajectories", gallery.trajectory_section(results)),
        ("generation", "Generation metrics", gallery.generation_section(results)),
        ("configuration", "Configuration", _configuration(results)),
    ]
    # A section that this kind of model does not have is empty.
    parts = [part for part in parts if part[2]]
    name = str(results.data.get("name") or results.name)
    subtitle = ", ".join(
        word
        for word in (
            f"{results.family} family" if results.family else "",
            f"{results.evaluation['split']} split" if results.evaluation.get("split") else "",
            f"workdir {results.name}",
        )
        if word
    )
    badge = "phantom data" if results.phantom else ""
    return page.page(name, subtitle, badge, parts)


def _configuration(results: Results) -> str:
    blocks = []
    for title, values in (
        ("Evaluation settings", results.part("settings")),
        ("Configuration (config.json)", results.config),
        ("Manifest (manifest.json): versions, device, data, seed", results.manifest),
    ):
        if values:
            blocks.append(page.details(title, page.facts(values)))
        else:
            blocks.append(page.missing(f"{title}: not in this workdir."))
    return page.section("configuration", "Configuration and manifest", *blocks)
