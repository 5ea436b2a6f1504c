"""The section on conformal sets: how often they hold the true class, and how large they are."""

from typing import Any

from msflow_jax.reports import page
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results

_NAMES = {"lac": "LAC", "aps": "APS", "raps": "RAPS"}


def sets_section(results: Results) -> Section:
    """A row for each score, marginal and by class, and the coverage of every class."""
    found = results.part("sets")
    heading = "Conformal sets"
    if not found.get("rows"):
        text = (
            "Sets are not measured on their own calibration images: evaluate the test split."
            if found else "No sets in evaluation.json: evaluate again."
        )  # fmt: skip
        return page.missing(results, "sets", "Sets", text, heading)
    rows, classes = [], []
    few: dict[str, Any] = {}
    for row in found["rows"]:
        name = f"{_NAMES.get(row['score'], row['score'])}{', by class' if row['by_class'] else ''}"
        rows.append((name, *_numbers(row)))
        classes.append((name, *(_share(one["coverage"]) for one in row["classes"])))
        few |= {name: row["few"]} if row["few"] else {}
    return page.section(
        results, "sets", "Sets", heading=heading, found=found, rows=rows, classes=classes, few=few,
        names=[one["name"] for one in found["rows"][0]["classes"]],
        cases_listed=_cases(found),
    )  # fmt: skip


def _cases(found: Any) -> str:
    names = [one["name"] for one in found["rows"][0]["classes"]]
    return ", ".join(f"{n} {k}" for n, k in zip(names, found.get("cases", ()), strict=False))


def _numbers(row: dict[str, Any]) -> tuple[str, ...]:
    band = row.get("band")
    missing = "not of one law" if row["by_class"] else "none: too few cases"
    words = f"{_share(band[0])} to {_share(band[1])}" if band else missing
    sizes = page.number(row["size"], 2), _share(row["single"]), _share(row["empty"])
    return (_share(row["coverage"]), words, *sizes)


def _share(value: float | None) -> str:
    return "none" if value is None else page.percent(value)
