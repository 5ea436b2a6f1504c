"""The section on questions of understanding."""

from typing import Any

from msflow_jax.reports import page
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results

_WORDS = {
    "selection": "Which slice is the same, in another modality", "identification": "Modality of panels",
    "instruction": "Which instruction leads from one image to the other",
    "question": "Questions on single images",
}  # fmt: skip


def understanding_section(results: Results) -> Section:
    """Accuracy of every task and pair, confusion, calibration, and the probe of content tokens."""
    found = results.part("understanding")
    rows, pairs, confusions = [], [], []
    for task, forms in (found.get("tasks") or {}).items():
        for form, one in forms.items():
            accuracy, fitted = one["accuracy"], one.get("calibration") or {}
            rows.append([
                _WORDS.get(task, task), "expert" if form in ("letter", "panel") else "direct",
                (page.percent(accuracy["value"]), page.span(accuracy["interval"], page.percent)),
                page.number(one["count"]), page.number(fitted.get("ece"), 3),
                page.number(fitted.get("ece_calibrated"), 3),
                page.number(fitted.get("temperature"), 2),
            ])  # fmt: skip
        first = next(iter(forms.values()))
        pairs += [
            [task, name, page.percent(value)] for name, value in (first.get("pairs") or {}).items()
        ]
        if task == "identification":
            names = first["names"]
            confusions = [
                [name, *map(page.number, row)]
                for name, row in zip(names, first["confusion"], strict=True)
            ]
            head = ["shown", *names]
    probe: dict[str, Any] = found.get("probe") or {}
    return page.section(
        results, "understanding", "Understanding", rows=rows, pairs=pairs, confusions=confusions,
        head=head if confusions else [], probe=probe, questions=found.get("questions"),
        left_out=found.get("left_out", ""),
    )  # fmt: skip
