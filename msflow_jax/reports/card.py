"""The card of a model that others are given: Markdown with figures of the standing evaluation."""

import html
import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from msflow_jax.reports.alarms import warnings_of
from msflow_jax.reports.classification import score_rows
from msflow_jax.reports.page import number, percent, span
from msflow_jax.reports.privacy import privacy_rows
from msflow_jax.reports.results import Results
from msflow_jax.reports.segmentation import unit_of
from msflow_jax.storage.content import printable
from msflow_jax.storage.text import listed

# Of the header, by the names that the hub knows.
_HEADER = {
    "accuracy": ("accuracy", "Accuracy"),
    "auc_probability": ("roc_auc", "AUC, of probabilities"),
    "brier": ("brier_score", "Brier score (0 to 2)"),
}
_TASKS = {"classify": "image-classification", "segment": "image-segmentation"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+|~$!])")


# How a model is used, by the first of its verbs.
_USE = {
    "classify": "found = flow.classify(images)",
    "segment": "maps, uncertainty = flow.segment_uncertainly(images)",
    "translate": 'drawn = flow.translate({"SOURCE": images}, "TARGET")',
    "generate": "drawn = flow.generate(flow.classes[0], 16)",
}


class Ready(str):
    """Text that is Markdown already."""


def plain(value: Any) -> str:
    r"""A value as Markdown that shows it as it is, on one line: ``*`` is ``\*``, ``&`` is ``&amp;``."""
    if isinstance(value, Ready):
        return value
    text = html.escape(" ".join(printable(str(value)).split()), quote=False)
    # A bare address would become a link.
    return _SPECIAL.sub(r"\\\1", text).replace("://", ":&#47;/")


def header_scores(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the header of a card says of an evaluation, for ``storage.hub.card_header``."""
    measured, data = found.get("classification", {}), found.get("data", {})
    name = str(data.get("name", ""))
    common = {
        "task_type": "image-classification", "dataset_type": name, "dataset_name": name,
        "dataset_split": str(found.get("split", "")),
    }  # fmt: skip
    return [
        {**common, "metric_type": kind, "metric_name": words, "metric_value": round(value, 4)}
        for key, (kind, words) in _HEADER.items()
        if (value := measured.get(key)) is not None
    ]


def _use(verbs: tuple[str, ...], data: Any) -> str:
    """A line of Python that uses the model, and what its images are."""
    line = next((_USE[verb] for verb in verbs if verb in _USE), "")
    shape = ", ".join(map(str, (*data.sides, data.channels)))
    return f"{line}  # images: uint8 [N, {shape}]" if "images" in line else line


def segmentation_rows(found: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Name, Dice with its interval, 95 % Hausdorff distance and pixels of each class."""
    return [
        (
            name, number(row.get("dice")), span((row.get("intervals") or {}).get("dice"), number),
            number(row.get("hd95"), 1), row.get("pixels"),
        )
        for name, row in (found.get("classes") or {}).items()
    ]  # fmt: skip


def header_facts(verbs: tuple[str, ...], family: str, licence: str) -> dict[str, Any]:
    """The other entries of the header."""
    task = next((task for verb, task in _TASKS.items() if verb in verbs), None)
    return {
        "license": licence or None, "library_name": "msflow_jax", "pipeline_tag": task,
        "tags": ["msflow_jax", family, "medical-imaging", "uncertainty"],
    }  # fmt: skip


def write_card(
    header: str,
    repo: str,
    found: Mapping[str, Any],
    *,
    data: Any,
    **facts: Any,
) -> str:
    """The card, as Markdown.

    Args:
        header: YAML of ``storage.hub.card_header``.
        repo: ``OWNER/NAME``, of letters, digits, ``-``, ``_`` and ``.``.
        found: the standing evaluation as it is given away; empty for none.
        data: facts on the data, ``data.info.Info``.
        facts: what the template ``card.md`` needs beside: ``family``, ``verbs``, ``steps`` (of each
            stage of training), ``parameters``, ``licence``, ``versions``, ``config_digest``,
            ``features`` (of how many training images features are given away), ``report``, ``words``
            (of reports).
    """
    results = Results(name="", evaluation=dict(found))
    measured = results.part("classification")
    splits = [s for s in found.get("counts") or () if s["split"] == found.get("split")]
    context = {
        "classes": data.map_classes if "segment" in facts["verbs"] else data.classes,
        "regions": segmentation_rows(results.part("segmentation")),
        "unit": unit_of(results),
        "use": Ready(_use(facts["verbs"], data)),
        "scores": [row[:3] for row in score_rows(results, measured)] if measured else [],
        "measured": measured, "calibration": results.part("calibration"),
        "kept": (measured.get("abstention") or {}).get("measures", {}).get("distance"),
        "coverage": (measured.get("abstention") or {}).get("coverage"),
        "sets": results.part("sets"), "generation": results.part("generation"),
        "subjects": splits[0].get("subjects") if splits else None,
        "privacy": privacy_rows(results.part("privacy")),
        "warnings": warnings_of(results), "notes": list(measured.get("notes", ())),
    }  # fmt: skip
    environment = Environment(
        loader=PackageLoader("msflow_jax.reports"), undefined=StrictUndefined, finalize=plain,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=False,  # Markdown: `plain` escapes
    )  # fmt: skip
    environment.filters.update(percent=percent, number=number, listed=listed)
    return environment.get_template("card.md").render(
        header=Ready(header), repo=Ready(repo), found=found, data=data, **context, **facts
    )
