"""The section on classification: scores, rejection, calibration, confusion, and a gallery of cases."""

from typing import Any

from msflow_jax.reports import charts, page, per_class
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results
from msflow_jax.storage.text import listed

_CASES = 16
_MEASURES = {
    "distance": "how far the prediction lies from its class",
    "margin": "minus the gap to the second class",
    "posterior": "one minus the largest probability",
    "entropy": "entropy of the probabilities in nats",
    "spread": "standard deviation of the predicted class's probability over draws",
    "evidence": "how unlike the training images the image is, whatever its class",
    "picture_spread": "spread over its pixels of the label picture that was read",
    "mahalanobis": "distance of features to the nearest class mean, in spreads",
    "neighbour": "distance of features to those of a near training image",
    "flow_error": "how badly the flow predicts the image's own velocity",
}
_SCORES = (
    ("accuracy", "Accuracy", page.percent),
    ("balanced_accuracy", "Balanced accuracy (macro recall)", page.percent),
    ("macro_precision", "Macro precision", page.percent),
    ("macro_f1", "Macro F1", page.percent),
    ("cohen_kappa", "Cohen's kappa", page.number),
    ("quadratic_kappa", "Quadratic kappa, of ordered classes", page.number),
    ("auc_probability", "AUC, of probabilities (MedMNIST)", page.number),
    ("auc_distance", "AUC, of {distance}s", page.number),
    ("ece", "Calibration error (ECE)", page.percent),
    ("brier", "Brier score (0 to 2)", page.number),
    ("nll", "Negative log-likelihood (nats)", page.number),
)


def classification_section(results: Results) -> Section:
    """Every number and figure of ``evaluate_classifier``, with temperature scaling and the cases."""
    found = results.part("classification")
    cases = [
        (f"{words} confident", _cases(results, kind))
        for kind, words in (("certain", "Most"), ("uncertain", "Least"))
    ]
    context: dict[str, Any] = {"found": found, "cases": cases}
    if found:
        draws = found.get("draws") or {}
        context |= {
            "draws": draws,
            "draw_count": draws.get("count", 1),
            "scores": score_rows(results, found),
            "no_interval": _no_interval(results, found),
            "curves": _curves(results, found),
            "rejection": _rejection(results, found),
            "reliability": _reliability(found),
            "calibration": results.part("calibration"),
            "thresholds": _thresholds(results),
            "measures": _measures(results, found),
            "per_class": per_class.class_rows(found),
            "roc": per_class.curve_charts(results, found),
            "abstention": per_class.abstention_rows(results, found),
            "subgroups": per_class.subgroup_tables(found),
        }
    return page.section(results, "classification", "Classification", **context)


def score_rows(results: Results, found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows of the score's name, its value, its interval and, for several draws, that of one draw."""
    draws, intervals = found.get("draws") or {}, found.get("intervals") or {}
    rows: list[tuple[str, ...]] = []
    for key, label, show in _SCORES:
        if key not in found:
            continue
        interval, spread = intervals.get(key), draws.get(key) or {}
        span = page.span(interval, show)
        single = show(spread.get("mean")) if spread else ""
        if spread.get("sd") is not None:
            single += f" ± {show(spread['sd'])}"
        row = (label.format(distance=results.word("distance")), show(found[key]), span, single)
        rows.append(row if draws.get("count", 1) > 1 else row[:3])
    return rows


def _no_interval(results: Results, found: dict[str, Any]) -> list[str]:
    """Why some scores have no interval, a sentence for each reason."""
    words = {key: label.format(distance=results.word("distance")) for key, label, _ in _SCORES}
    reasons: dict[str, list[str]] = {}
    for key, why in ((found.get("intervals") or {}).get("undefined") or {}).items():
        if found.get(key) is not None:
            reasons.setdefault(why, []).append(words.get(key, key))
    return [f"No interval for {listed(names)}: {why}." for why, names in reasons.items()]


def _curves(results: Results, found: dict[str, Any]) -> dict[str, Any]:
    """Rejection curves by the names of their uncertainties in words."""
    return {results.word(key): curve for key, curve in (found.get("rejection") or {}).items()}


def _rejection(results: Results, found: dict[str, Any]) -> Any:
    """The chart of all rejection curves; None if there is none."""
    curves = _curves(results, found)
    if not curves:
        return None
    name, curve = next(iter(curves.items()))
    half = curve["accuracy"][len(curve["accuracy"]) // 2]
    label = (
        f"Rejection by {name}: accuracy {page.percent(curve['accuracy'][0])} with none rejected, "
        f"{page.percent(half)} with half rejected"
    )
    return charts.rejection_chart(curves, label)


def _reliability(found: dict[str, Any]) -> Any:
    """The reliability diagram; None where no bin holds an image."""
    rows = found.get("reliability") or []
    if not any(row["count"] for row in rows):
        return None
    error = page.percent(found["ece"])
    label = f"Reliability diagram in {len(rows)} bins; calibration error {error}"
    return charts.reliability_chart(rows, label)


def _measures(results: Results, found: dict[str, Any]) -> str:
    """What each uncertainty of the rejection curves is, in one text."""
    texts = [
        f"{results.word(name)}: {_MEASURES[name]}"
        for name in found.get("rejection") or ()
        if name in _MEASURES
    ]
    text = "; ".join(texts)
    return f"{text[:1].upper()}{text[1:]}. Larger always means less certain." if text else ""


def _thresholds(results: Results) -> tuple[list[str], list[tuple[str, ...]]] | None:
    """Head and rows of the thresholds of uncertainty by the fraction of images kept."""
    table = results.part("abstain")
    names = [name for name in table if name != "coverage"]
    if not names or "coverage" not in table:
        return None
    rows = [
        (page.percent(kept, 0), *(page.significant(value) for value in values))
        for kept, *values in zip(table["coverage"], *(table[n] for n in names), strict=True)
        if _is_shown(kept)
    ]
    return ["kept", *(results.word(name) for name in names)], rows


def _is_shown(kept: float) -> bool:
    """Whether a fraction has a row of its own: every twentieth; the commands know finer ones."""
    return abs(20 * kept - round(20 * kept)) < 1e-6


def _cases(results: Results, kind: str) -> list[dict[str, Any]]:
    """Image, true and predicted class and uncertainty of each case; none if they are not stored."""
    arrays = results.arrays
    keys = [f"{kind}_{part}" for part in ("images", "labels", "predictions")]
    if any(key not in arrays for key in keys):
        return []
    images, labels, predictions = (arrays[key][:_CASES] for key in keys)
    uncertainty, names = (arrays.get(f"{kind}_{part}") for part in ("uncertainty", "names"))
    cases = []
    for i, (image, label, prediction) in enumerate(zip(images, labels, predictions, strict=True)):
        true, predicted = results.class_name(int(label)), results.class_name(int(prediction))
        alt = f"Image of class {true}, classified as {predicted}"
        cases.append(
            {
                "picture": page.picture(image, alt, results.spacing),
                "true": true,
                "predicted": predicted,
                "right": int(label) == int(prediction),
                "name": "" if names is None else str(names[i]),
                "uncertainty": None if uncertainty is None else float(uncertainty[i]),
            }
        )
    return cases
