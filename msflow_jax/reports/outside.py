"""The section on images of another kind: how well each uncertainty tells them."""

from typing import Any

from msflow_jax.reports import page
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results

COMBINED = "outside"  # the score behind the p-value


def outside_section(results: Results) -> Section:
    """A table of AUROC and one of false positives, a column for each kind, and some of the images."""
    found = results.part("outside")
    heading = "Images from outside"
    if not found.get("sets"):
        text = "No images from outside in evaluation.json: evaluate again."
        return page.missing(results, "outside", "Outside", text, heading)
    sets = found["sets"]
    measures = list(next(iter(sets.values()))["measures"])
    order = [m for m in (COMBINED, *(found.get("used") or ())) if m in measures]
    order += [m for m in measures if m not in order]
    tables = [
        (
            words,
            [
                (_name(m), *(_cell(one["measures"][m][figure]) for one in sets.values()))
                for m in order
            ],
        )
        for figure, words in (("auroc", "AUROC"), ("fpr95", "FPR at 95 % TPR"))
    ]
    strips = page.named_strips(results, "outside", list(sets), "images from outside:")
    rejected = [(name, _share(one["rejected"])) for name, one in sets.items() if "rejected" in one]
    if "rejected" in found:
        of_class = found.get("rejected_classes") or {}
        rejected[:0] = [
            ("of the split itself", _share(found["rejected"])),
            *((f"of the split, {name}", _share(value)) for name, value in of_class.items()),
        ]
    return page.section(
        results, "outside", "Outside", heading=heading, found=found, names=list(sets), tables=tables,
        strips=strips, rejected=rejected, level=_level(found),
    )  # fmt: skip


def _level(found: dict[str, Any]) -> str:
    """What is rejected, in words; of an evaluation of before the level is not known."""
    if "rejected" not in found:
        return ""
    level = found.get("level")
    if level is None:
        return " Rejected: by the p-value at which classify abstains."
    if not level:
        return " Rejected: none, the validation images are too few to tell."
    return f" Rejected: p-value of at most {100 * level:.2g} %."


def _name(measure: str) -> str:
    return "outside (behind the p-value)" if measure == COMBINED else measure.replace("_", " ")


def _cell(one: dict[str, Any]) -> str:
    span = page.span(one["interval"], lambda value: page.number(value, 2))
    return page.number(one["value"], 3) + (f" ({span})" if span else "")


def _share(value: float) -> str:
    return page.share(value).replace("\u00a0", " ")
