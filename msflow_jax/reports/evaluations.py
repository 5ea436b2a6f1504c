"""The section that sets all evaluations of a workdir side by side, each with its own page."""

from collections.abc import Mapping, Sequence
from typing import Any

from msflow_jax.reports import page
from msflow_jax.reports.page import Section, number, percent
from msflow_jax.reports.results import Results

# Heading, key of the section on classification, how it is written.
_COLUMNS = (
    ("accuracy", "accuracy", percent),
    ("balanced accuracy", "balanced_accuracy", percent),
    ("AUC", "auc_probability", number),
    ("calibration error", "ece", percent),
)


def evaluations_section(results: Results, others: Sequence[Results]) -> Section | None:
    """A row for each evaluation, the one of this page first; nothing where there is one alone.

    Args:
        results: evaluation of this page.
        others: the other evaluations of the workdir.
    """
    if not others:
        return None
    return page.section(
        results, "evaluations", "Evaluations", heading="All evaluations of this model",
        headings=[heading for heading, _, _ in _COLUMNS],
        rows=[_row(one, one is results) for one in (results, *others)],
        standing=next((one for one in (results, *others) if one.stands), None),
    )  # fmt: skip


def _row(results: Results, here: bool) -> dict[str, Any]:
    found, settings = results.part("classification"), results.part("settings")
    classify = settings.get("classify")
    used = classify if isinstance(classify, dict) else {}
    return {
        "name": results.evaluation_name,
        "link": "" if here else page_name(results),
        "stands": results.stands,
        "other": results.other,
        "what": str(settings.get("images") or f"{results.evaluation.get('split', '')} split"),
        "step": settings.get("step"),
        "settings": ", ".join(f"{k} {v}" for k, v in used.items()),
        "images": found.get("images"),
        "cells": [_cell(found, key, show) for _, key, show in _COLUMNS],
    }


def _cell(found: Mapping[str, Any], key: str, show: Any) -> str:
    """A score with its 95 % interval, where there is one."""
    if not isinstance(found.get(key), int | float):
        return page.NOTHING
    intervals = found.get("intervals")
    words = page.span(intervals.get(key) if isinstance(intervals, dict) else None, show)
    return f"{show(found[key])} ({words})" if words else show(found[key])


def page_name(results: Results) -> str:
    """Name of the file in ``report/``: ``index.html`` for the standing evaluation, or else the first."""
    return "index.html" if results.first else f"{results.evaluation_name}.html"
