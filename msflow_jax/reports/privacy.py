"""The section on what a model gives away of its training images: two attacks, beside chance."""

from typing import Any

from msflow_jax.reports import page
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results


def privacy_section(results: Results) -> Section:
    """A table of figures, each with its interval and what it is where nothing is given away."""
    found = results.part("privacy")
    rows = privacy_rows(found)
    if not rows:
        text = "What the model gives away was not measured: evaluate again."
        return page.missing(results, "privacy", "Privacy", text)
    return page.section(
        results, "privacy", "Privacy", rows=rows, membership=found.get("membership") or {},
        neighbours=found.get("neighbours") or {}, few=found.get("few") or (),
    )  # fmt: skip


def privacy_rows(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Name, value, 95 % interval, and the value where nothing is given away, of every figure."""
    rows, member, near = [], found.get("membership") or {}, found.get("neighbours") or {}

    def row(words: str, one: dict[str, Any], show: Any, nothing: str) -> tuple[str, str, str, str]:
        return words, show(one["value"]), page.span(one["interval"], show), nothing

    if member:
        expected = page.percent(member["expected_tpr"])
        rows.append(row("Membership inference: AUROC", member["auroc"], page.number, "0.500"))
        words = f"of it, true positives at {page.percent(member['fpr'], 0)} false ones"
        rows.append(row(words, member["tpr"], page.percent, expected))
    if near:
        words = "Drawn images nearer to training than to validation images"
        nothing = page.span(near["nearer"]["chance"], page.percent)
        rows.append((words, page.percent(near["nearer"]["value"]), "", nothing))
        ratio = near["ratio"]
        words = "Ratio of these distances, median (5th percentile)"
        value = f"{page.number(ratio['median'])} ({page.number(ratio['p5'])})"
        rows.append((words, value, "", "1.000"))
    return rows
