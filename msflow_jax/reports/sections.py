"""Sections on the data, the training and the classification of images."""

from typing import Any

from msflow_jax.reports import charts, page
from msflow_jax.reports.page import Chart, Section, Table, number, percent
from msflow_jax.reports.results import Results
from msflow_jax.reports.summary import title_of

_SCORES = (
    ("accuracy", "Accuracy", percent),
    ("balanced_accuracy", "Balanced accuracy (macro recall)", percent),
    ("macro_precision", "Macro precision", percent),
    ("macro_f1", "Macro F1", percent),
    ("cohen_kappa", "Cohen's kappa", number),
    ("auc_probability", "AUC, of probabilities (MedMNIST)", number),
    ("auc_distance", "AUC, of {distances}", number),
    ("ece", "Calibration error (ECE)", percent),
    ("brier", "Brier score (0 to 2)", number),
    ("nll", "Negative log-likelihood (nats)", number),
)


def data_section(results: Results) -> Section:
    """What the data set is, with the licence and the classes."""
    if not results.data:
        return page.missing("data", "Data", "Data", "No facts on the data in this workdir.")
    data = {key.replace("_", " "): value for key, value in results.data.items()}
    return Section("data", "Data", "Data", page.render("data", data=data, phantom=results.phantom))


def training_section(results: Results) -> Section:
    """Loss and validation curves."""
    rows = results.rows
    losses, scores = charts.curve_names(rows)
    drawn = [name for name in losses + scores if len(charts.series(rows, name)[0])]
    if not drawn:
        text = "No metrics.jsonl with losses in this workdir: training curves are not shown."
        return page.missing("training", "Training", "Training", text)
    last = int(max(row["step"] for row in rows))
    text = f"Training to step {last:,}. Loss on a log scale; thin: as logged, thick: smoothed."
    _, speeds = charts.series(rows, "images_per_second")
    if len(speeds):
        text += f" Median throughput {sorted(speeds)[len(speeds) // 2]:,.0f} images per second."
    alt = f"Curves of {', '.join(drawn)} over {last:,} training steps"
    chart = Chart(charts.training_chart(rows, alt), text)
    content = page.render("chart", drawn=chart, phantom=results.phantom)
    return Section("training", "Training", "Training", content)


def classification_section(results: Results) -> Section:
    """Every number and figure of ``evaluate_classifier``."""
    title, found = "Classification", results.part("classification")
    if not found:
        text = "No classification in evaluation.json: run the evaluation to measure it."
        return page.missing("classification", title, title, text)
    undefined = found.get("undefined") or {}
    content = page.render(
        "classification",
        lead=_lead(results, found),
        scores=_scores(results, found),
        notes=[*found.get("notes", []), *(f"{k} is undefined: {v}." for k, v in undefined.items())],
        rejection=_rejection(results, found),
        reliability=_reliability(found),
        temperature=_temperature(results),
        calibrated="calibration" in results.sections or bool(results.part("likelihood")),
        confusion=_confusion(found),
        per_class=_per_class(found),
        conventions=found.get("conventions"),
        phantom=results.phantom,
    )
    return Section("classification", title, title, content)


def _lead(results: Results, found: dict[str, Any]) -> str:
    split = results.evaluation.get("split", "evaluated")
    draws, kind = (found.get("draws") or {}).get("count", 1), results.word("draw")
    over = f"one {kind}" if draws == 1 else f"the mean of {draws} {kind}s"
    text = f"{found['images']:,} {split} images of {title_of(results)}, each classified by {over}."
    majority = found.get("majority_accuracy")
    if majority is not None:
        text += f" Always naming the most frequent class would score {percent(majority)}."
    return text


def _scores(results: Results, found: dict[str, Any]) -> Table:
    draws, intervals = found.get("draws") or {}, found.get("intervals") or {}
    rows: list[tuple[str, ...]] = []
    for key, label, show in _SCORES:
        if key not in found:
            continue
        interval, spread = intervals.get(key), draws.get(key) or {}
        span = f"{show(interval[0])} to {show(interval[1])}" if interval else ""
        single = show(spread.get("mean")) if spread else ""
        if spread.get("sd") is not None:
            single += f" ± {show(spread['sd'])}"
        rows.append(
            (label.format(distances=results.word("distances")), show(found[key]), span, single)
        )
    unit = "subjects" if intervals.get("unit") == "subject" else "images"
    text, head = f"Interval: bootstrap over the {unit}", ("", "value", "95\u00a0% interval")
    if draws.get("count", 1) <= 1:
        return Table(head, [row[:3] for row in rows], f"{text}, not the spread over trainings.")
    text += (
        f". One draw: mean ± sample standard deviation over {results.word('draw')}s of this one "
        "model; neither is the spread over trainings."
    )
    agreement = draws.get("agreement")
    if agreement is not None:
        text += f" Two draws name the same class for {percent(agreement)} of the images."
    return Table(("", "all draws", "95\u00a0% interval", "one draw"), list(rows), text)


def _rejection(results: Results, found: dict[str, Any]) -> dict[str, Any] | None:
    given = found.get("rejection") or {}
    curves = {results.uncertainty_name(key): curve for key, curve in given.items()}
    if not curves:
        return None
    name, curve = next(iter(curves.items()))
    text = (
        "Rejection curve: accuracy once the least confident images are rejected. The last point "
        f"rests on {curve['kept'][-1]:,} images."
    )
    half = curve["accuracy"][len(curve["accuracy"]) // 2]
    alt = (
        f"Rejection by {name}: accuracy {percent(curve['accuracy'][0])} with none rejected, "
        f"{percent(half)} with half rejected"
    )
    rows = [
        (
            name,
            number(c.get("aurc"), 4),
            number(c.get("excess_aurc"), 4),
            *(percent(t["coverage"], 0) for t in c.get("coverage_at_accuracy", [])),
        )
        for name, c in curves.items()
    ]
    note = (
        "Area under the risk-coverage curve (less is better), its excess over the best possible "
        "order, and the fraction of images that can be kept at a given accuracy."
    )
    head = ("uncertainty", "AURC", "excess", "kept at 90 %", "95 %", "99 %")
    chart = Chart(charts.rejection_chart(curves, alt), text)
    return {"chart": chart, "head": head, "rows": rows, "note": note}


def _reliability(found: dict[str, Any]) -> Chart | None:
    rows = found.get("reliability") or []
    if not any(row["count"] for row in rows):
        return None
    text = (
        "Reliability: how often predictions of a stated probability are right (bars on the diagonal "
        "are calibrated), and how many images fall in each bin."
    )
    alt = f"Reliability diagram in {len(rows)} bins; calibration error {percent(found['ece'])}"
    return Chart(charts.reliability_chart(rows, alt), text)


def _temperature(results: Results) -> Table | None:
    """Calibration before and after a temperature fitted on the validation split."""
    found, keys = results.part("calibration"), ("before", "after")
    if not found:
        return None
    rows: list[tuple[Any, ...]] = [
        ("Calibration error (ECE)", *(percent(found[f"ece_{k}"]) for k in keys)),
        ("Negative log-likelihood (nats)", *(number(found[f"nll_{k}"]) for k in keys)),
    ]
    split = {"val": "validation"}.get(found["fitted_on"], found["fitted_on"])
    text = (
        f"One temperature divides the log-posteriors; it was fitted on the {split} split and leaves "
        "every prediction as it is. Here the log-likelihood is not clipped."
    )
    return Table(("", "before (T = 1)", f"after (T = {found['temperature']:.4g})"), rows, text)


def _confusion(found: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for name, counts in zip(found["classes"], found["confusion"], strict=True):
        total = sum(counts)
        parts = [count / total if total else 0.0 for count in counts]
        # Text stays readable on the tint in both themes.
        cells = [
            {"count": count, "part": part, "tint": f"{0.55 * part:.3f}"}
            for count, part in zip(counts, parts, strict=True)
        ]
        rows.append({"name": name, "total": total, "cells": cells})
    return {"names": found["classes"], "rows": rows}


def _per_class(found: dict[str, Any]) -> Table:
    rows = [
        (
            row["name"], number(row["count"]), number(row.get("predicted")), percent(row["recall"]),
            percent(row["precision"]), percent(row.get("f1")),
        )
        for row in found["per_class"]
    ]  # fmt: skip
    return Table(("class", "images", "predicted", "recall", "precision", "F1"), list(rows))
