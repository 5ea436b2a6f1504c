"""Sections on the data, the training and the reading of images."""

from typing import Any

from msflow_jax.reports import charts, page
from msflow_jax.reports.results import Results
from msflow_jax.reports.summary import title_of

_BEFORE_AFTER = ("before", "after")


def data_section(results: Results) -> str:
    """What the data set is, with the licence and the classes."""
    if not results.data:
        return page.section("data", "Data", page.missing("No facts on the data in this workdir."))
    parts = []
    if results.phantom:
        parts.append(
            page.paragraph(
                "These images are phantoms: simulated from tissue maps by a physical model. They "
                "show that the method runs and what it can tell apart, nothing on patients.",
                "notice",
            )
        )
    return page.section(
        "data",
        "Data",
        *parts,
        page.facts({key.replace("_", " "): value for key, value in results.data.items()}),
    )


def training_section(results: Results) -> str:
    """Loss and validation curves."""
    rows = results.rows
    losses, scores = charts.curve_names(rows)
    drawn = [name for name in losses + scores if len(charts.series(rows, name)[0])]
    if not drawn:
        text = "No metrics.jsonl with losses in this workdir: training curves are not shown."
        return page.section("training", "Training", page.missing(text))
    last = int(max(row["step"] for row in rows))
    text = f"Training to step {last:,}. Loss on a log scale; thin: as logged, thick: smoothed."
    _, speeds = charts.series(rows, "images_per_second")
    if len(speeds):
        text += f" Median throughput {sorted(speeds)[len(speeds) // 2]:,.0f} images per second."
    alt = f"Curves of {', '.join(drawn)} over {last:,} training steps"
    figure = page.chart(lambda t: charts.training_chart(rows, t), alt, text, 920, results.phantom)
    return page.section("training", "Training", figure)


def classification_section(results: Results) -> str:
    """Every number and figure of `evaluate_classifier`."""
    found = results.part("classification")
    if not found:
        text = "No classification in evaluation.json: run the evaluation to measure it."
        return page.section("classification", "Classification", page.missing(text))
    phantom = results.phantom
    parts = [
        page.paragraph(_classification_lead(results, found), "muted"),
        _scores_table(results, found),
        *(page.paragraph(note, "notice") for note in found.get("notes", [])),
        *(
            page.paragraph(f"{name} is undefined: {reason}.", "notice")
            for name, reason in (found.get("undefined") or {}).items()
        ),
        '<div class="pair">',
        _rejection(results, found),
        _reliability(found, phantom),
        "</div>",
        _temperature(results),
        "<h3>Confusion matrix</h3>",
        _confusion(found),
        "<h3>Per class</h3>",
        _per_class(found),
        _conventions(found),
    ]
    return page.section("classification", "Classification", *parts)


def _classification_lead(results: Results, found: dict[str, Any]) -> str:
    split = results.evaluation.get("split", "evaluated")
    draws = (found.get("draws") or {}).get("count", 1)
    kind = _draw(results)
    over = f"one {kind} draw" if draws == 1 else f"the mean of {draws} {kind} draws"
    text = f"{found['images']:,} {split} images of {title_of(results)}, each read from {over}."
    majority = found.get("majority_accuracy")
    if majority is not None:
        text += f" Always naming the most frequent class would score {page.percent(majority)}."
    return text


def _draw(results: Results) -> str:
    """What is drawn anew when an image is read again."""
    return "dequantisation" if results.coupling else "noise"


def _scores_table(results: Results, found: dict[str, Any]) -> str:
    draws, intervals = found.get("draws") or {}, found.get("intervals") or {}
    several = draws.get("count", 1) > 1
    distances = "log-posteriors" if results.coupling else "distances (MedSymmFlow)"
    rows: list[tuple[str, ...]] = []
    for key, label, show in (
        ("accuracy", "Accuracy", page.percent),
        ("balanced_accuracy", "Balanced accuracy (macro recall)", page.percent),
        ("macro_precision", "Macro precision", page.percent),
        ("macro_f1", "Macro F1", page.percent),
        ("cohen_kappa", "Cohen's kappa", page.number),
        ("auc_probability", "AUC, of probabilities (MedMNIST)", page.number),
        ("auc_distance", f"AUC, of {distances}", page.number),
        ("ece", "Calibration error (ECE)", page.percent),
        ("brier", "Brier score (0 to 2)", page.number),
        ("nll", "Negative log-likelihood (nats)", page.number),
    ):
        if key not in found:
            continue
        interval = intervals.get(key)
        span = f"{show(interval[0])} to {show(interval[1])}" if interval else ""
        spread = draws.get(key) or {}
        single = show(spread.get("mean")) if spread else ""
        if spread.get("sd") is not None:
            single += f" ± {show(spread['sd'])}"
        rows.append((label, show(found[key]), span, single))
    text = "Interval: bootstrap over the images"
    if not several:
        rows = [row[:3] for row in rows]
        return page.table(
            ("", "value", "95\u00a0% interval"), rows, f"{text}, not the spread over trainings."
        )
    text += (
        f". One draw: mean ± sample standard deviation over {_draw(results)} draws of this one "
        "model; neither is the spread over trainings."
    )
    agreement = draws.get("agreement")
    if agreement is not None:
        text += f" Two draws name the same class for {page.percent(agreement)} of the images."
    return page.table(("", "all draws", "95\u00a0% interval", "one draw"), rows, text)


def _rejection(results: Results, found: dict[str, Any]) -> str:
    curves = {
        results.uncertainty_name(key): curve
        for key, curve in (found.get("rejection") or {}).items()
    }
    if not curves:
        return page.missing("No uncertainty was given: rejection curves are not shown.")
    name, curve = next(iter(curves.items()))
    text = (
        "Rejection curve: accuracy once the least certain images are put aside. The last point "
        f"rests on {curve['kept'][-1]:,} images."
    )
    half = curve["accuracy"][len(curve["accuracy"]) // 2]
    alt = (
        f"Rejection by {name}: accuracy {page.percent(curve['accuracy'][0])} with none put aside, "
        f"{page.percent(half)} with half put aside"
    )
    figure = page.chart(
        lambda t: charts.rejection_chart(curves, t), alt, text, 440, results.phantom
    )
    head = ("uncertainty", "AURC", "excess", "kept at 90 %", "95 %", "99 %")
    rows = [
        (
            name,
            page.number(c.get("aurc"), 4),
            page.number(c.get("excess_aurc"), 4),
            *(page.percent(t["coverage"], 0) for t in c.get("coverage_at_accuracy", [])),
        )
        for name, c in curves.items()
    ]
    note = "Area under the risk-coverage curve (less is better), its excess over the best possible "
    note += "order, and the share of images that can be kept at a given accuracy."
    return f"<div><h3>Rejection</h3>{figure}{page.table(head, rows, note)}</div>"


def _reliability(found: dict[str, Any], phantom: bool) -> str:
    rows = found.get("reliability") or []
    if not any(row["count"] for row in rows):
        return page.missing("No reliability table: calibration is not shown.")
    text = (
        "Reliability: how often answers of a stated probability are right (bars on the diagonal "
        "are calibrated), and how many images fall in each bin."
    )
    alt = f"Reliability diagram in {len(rows)} bins; calibration error {page.percent(found['ece'])}"
    figure = page.chart(lambda t: charts.reliability_chart(rows, t), alt, text, 440, phantom)
    return f"<div><h3>Calibration</h3>{figure}</div>"


def _temperature(results: Results) -> str:
    """Calibration before and after a temperature fitted on the validation split."""
    found = results.part("calibration")
    if not found:
        text = "No calibration in evaluation.json: the effect of a temperature is not shown."
        return page.missing(text) if results.coupling else ""
    rows = [
        ("Calibration error (ECE)", *(page.percent(found[f"ece_{k}"]) for k in _BEFORE_AFTER)),
        (
            "Negative log-likelihood (nats)",
            *(page.number(found[f"nll_{k}"]) for k in _BEFORE_AFTER),
        ),
    ]
    split = {"val": "validation"}.get(found["fitted_on"], found["fitted_on"])
    text = (
        f"One temperature divides the log-posteriors; it was fitted on the {split} split and leaves "
        "every answer as it is. Here the log-likelihood is not clipped."
    )
    head = ("", "before (T = 1)", f"after (T = {found['temperature']:.4g})")
    return f"<h3>Temperature scaling</h3>{page.table(head, rows, text)}"


def _confusion(found: dict[str, Any]) -> str:
    names, counts = found["classes"], found["confusion"]
    head = "".join(f'<th scope="col">{page.escape(name)}</th>' for name in names)
    body = ""
    for name, row in zip(names, counts, strict=True):
        total = sum(row)
        cells = ""
        for count in row:
            share = count / total if total else 0.0
            # Text stays readable on the tint in both themes.
            tint = f' style="background: rgba(var(--cell), {0.55 * share:.3f})"' if count else ""
            small = f"<small>{100 * share:.0f} %</small>" if total else ""
            cells += f"<td{tint}>{count:,}{small}</td>"
        body += f'<tr><th scope="row">{page.escape(name)}</th>{cells}</tr>'
    return (
        '<div class="scroll"><table class="confusion"><caption>Row: true class. Column: predicted '
        "class. Small: share of the row.</caption><thead><tr>"
        '<th scope="col">true \\ predicted</th>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _per_class(found: dict[str, Any]) -> str:
    rows = [
        (
            row["name"],
            page.number(row["count"]),
            page.number(row.get("predicted")),
            page.percent(row["recall"]),
            page.percent(row["precision"]),
            page.percent(row.get("f1")),
        )
        for row in found["per_class"]
    ]
    return page.table(("class", "images", "predicted", "recall", "precision", "F1"), rows)


def _conventions(found: dict[str, Any]) -> str:
    conventions = found.get("conventions")
    return (
        page.details("How each metric is defined", page.facts(conventions)) if conventions else ""
    )
