"""Each class against the rest, what abstention does to it, and subgroups: tables and curves."""

from collections.abc import Callable
from typing import Any

from msflow_jax.reports import curves, page
from msflow_jax.reports.page import number, percent, share
from msflow_jax.reports.results import Results
from msflow_jax.storage.text import listed

Cell = str | tuple[str, str]
Show = Callable[[Any], str]

_RATES: tuple[tuple[str, str, Show], ...] = (
    ("recall", "sensitivity", percent),
    ("specificity", "specificity", percent),
    ("precision", "PPV", percent),
    ("npv", "NPV", percent),
    ("f1", "F1", percent),
    ("auc", "AUC", number),
    ("average_precision", "AP", number),
)
_SCORES: tuple[tuple[str, str, Show], ...] = (
    ("accuracy", "accuracy", percent),
    ("balanced_accuracy", "balanced accuracy", percent),
    ("cohen_kappa", "Cohen's kappa", number),
    ("quadratic_kappa", "quadratic kappa", number),
    ("auc_probability", "AUC", number),
)


def class_rows(found: dict[str, Any]) -> tuple[list[str], list[list[Cell]], bool, list[str]]:
    """Head, rows, whether there are intervals, and why some values or intervals are not there."""
    table = found.get("per_class") or []
    shown = [one for one in _RATES if any(one[0] in row for row in table)]
    rows: list[list[Cell]] = []
    reasons: dict[str, list[str]] = {}
    for row in table:
        intervals = row.get("intervals") or {}
        cells: list[Cell] = [row["name"], number(row["count"]), number(row.get("predicted"))]
        for key, _, show in shown:
            cells.append((show(row.get(key)), _small(intervals.get(key), show)))
        rows.append(cells)
        for key, why in (intervals.get("undefined") or {}).items():
            if row.get(key) is not None:
                words = next(label for name, label, _ in _RATES if name == key)
                reasons.setdefault(why, []).append(f"{words} of {listed([row['name']])}")
    texts = [f"No interval for the {', '.join(names)}: {why}." for why, names in reasons.items()]
    head = ["class", "images", "predicted", *(label for _, label, _ in shown)]
    return head, rows, any(row.get("intervals") for row in table), texts


def _small(interval: list[float] | None, show: Show) -> str:
    """An interval below a value, as short as can be: many stand side by side."""
    return page.span(interval, lambda value: show(value).removesuffix("\u00a0%"))


def curve_charts(results: Results, found: dict[str, Any]) -> tuple[Any, Any] | None:
    """The charts of ROC and precision-recall curves; None where no curve is stored."""
    roc, recall = {}, {}
    for k, row in enumerate(found.get("per_class") or ()):
        if f"roc_{k}" in results.arrays and f"pr_{k}" in results.arrays:
            roc[f"{row['name']} ({number(row.get('auc'))})"] = results.arrays[f"roc_{k}"]
            words = f"{row['name']} ({number(row.get('average_precision'))})"
            recall[words] = results.arrays[f"pr_{k}"]
    if not roc:
        return None
    return (
        curves.roc_chart(roc, f"ROC curves, areas in brackets: {listed(roc)}"),
        curves.recall_chart(
            recall, f"Precision-recall curves, average precision: {listed(recall)}"
        ),
    )


def abstention_rows(results: Results, found: dict[str, Any]) -> dict[str, Any]:
    """Table of the share of each true class that each threshold keeps; empty where not measured."""
    abstention = found.get("abstention") or {}
    measures: dict[str, Any] = abstention.get("measures") or {}
    if not measures:
        return {}
    first = next(iter(measures.values()))["classes"]
    rows: list[list[Cell]] = []
    for i, row in enumerate(first):
        rows.append([row["name"], number(row["images"])])
        for kept in measures.values():
            one = kept["classes"][i]
            rows[-1].append((share(one["kept"]), share(one["accuracy"])))
    whole: list[Cell] = ["all", number(sum(row["images"] for row in first))]
    whole += [(share(m["kept"]), share(m["accuracy"])) for m in measures.values()]
    return {
        "head": ["true class", "images", *(f"by {results.word(name)}" for name in measures)],
        "rows": [*rows, whole],
        "coverage": percent(abstention["coverage"], 0),
    }


def subgroup_tables(found: dict[str, Any]) -> list[dict[str, Any]]:
    """For each column that was requested its table of scores, and why some are undefined."""
    tables = []
    for column, groups in (found.get("subgroups") or {}).items():
        shown = [one for one in _SCORES if any(one[0] in row for row in groups)]
        rows: list[list[Cell]] = []
        reasons: dict[tuple[str, str], list[str]] = {}
        for row in groups:
            spans = row.get("intervals") or {}
            rows.append([row["value"], number(row["images"])])
            for key, _, show in shown:
                rows[-1].append((show(row.get(key)), _small(spans.get(key), show)))
            for part, what in ((row, "score"), (spans, "interval")):
                for why in dict.fromkeys((part.get("undefined") or {}).values()):
                    reasons.setdefault((what, why), []).append(row["value"])
        head = [column, "images", *(label for _, label, _ in shown)]
        texts = [f"No {what} for {listed(n)}: {why}." for (what, why), n in reasons.items()]
        tables.append({"column": column, "head": head, "rows": rows, "reasons": texts})
    return tables
