"""The sections on translation, retrieval and drawn reports."""

from typing import Any

import numpy as np

from msflow_jax.reports import page
from msflow_jax.reports.page import Section
from msflow_jax.reports.results import Results
from msflow_jax.reports.routes import blank_of

_COLUMNS = ("psnr", "ssim", "ms_ssim", "mae", "psnr_inside", "ssim_inside", "frechet")
_PARTS = ("source", "sample", "mean", "truth", "error", "spread")
_OF_ONE = _PARTS[:-1]  # one draw has no spread
_WORDS = ("f1", "exact", "bleu_1", "bleu_4", "rouge_l", "meteor_exact_stem")


def translation_section(results: Results) -> Section:
    """A table and pictures of every route."""
    found = results.part("translation")
    routes = [_route(results, route) for route in found.get("routes") or ()]
    return page.section(
        results, "translation", "Translation", routes=routes, draws=found.get("draws"),
        parts=_parts(results), left_out=found.get("left_out", ""),
    )  # fmt: skip


def _route(results: Results, route: dict[str, Any]) -> dict[str, Any]:
    source, target = route["source"], route["target"]
    rows = []
    for name, row in route["rows"].items():
        cells: list[Any] = [name]
        for key in _COLUMNS:
            scale = route.get("per_unit", 1.0) if key == "mae" else 1.0
            cells.append(_cell(row.get(key) or {}, scale, 1 if key.startswith("psnr") else 3))
        rows.append(cells)
    unit = route.get("unit") or "of the range"
    return {
        "name": f"{source} to {target}", "trained": route["trained"], "rows": rows, "unit": unit,
        "anatomy": _anatomy((route.get("anatomy") or {}).get("rows") or {}),
        "examples": route["examples"], "blank": blank_of(route, route["examples"]),
        "spread": route.get("spread") or {}, "pictures": _pictures(results, source, target),
    }  # fmt: skip


def _anatomy(rows: dict[str, Any]) -> dict[str, Any]:
    """Head and rows of a table of Dice and lesions; the tissues are the data's."""
    if not rows:
        return {}
    first = next(iter(rows.values()))
    tissues, lesions = list(first["dice"]), "lesions" in first
    head = ["images by", *("Dice, " + name for name in tissues)]
    head += ["lesions: recall", "precision", "found", "lost", "added"] * lesions
    table = []
    for name, row in rows.items():
        cells: list[Any] = [name, *(_cell(row["dice"][tissue], 1.0, 3) for tissue in tissues)]
        if lesions:
            of = row["lesions"]
            cells += [_percent(of["recall"]), _percent(of["precision"])]
            cells += [page.number(of[key]) for key in ("found", "lost", "added")]
        table.append(cells)
    return {"head": head, "rows": table}


def _cell(value: dict[str, Any], scale: float, digits: int) -> tuple[str, str]:
    digits = 1 if scale > 1 else digits
    number, interval = value.get("value"), value.get("interval")
    shown = page.number(None if number is None else scale * number, digits)
    return shown, page.span(interval, lambda x: page.number(scale * x, digits))


def _parts(results: Results) -> tuple[str, ...]:
    """What is shown of each case."""
    return _OF_ONE if results.part("translation").get("draws") == 1 else _PARTS


def _pictures(results: Results, source: str, target: str) -> list[Any]:
    """Rows of source, sample, mean, truth, error and spread; one picture for each case."""
    parts = _parts(results)
    arrays = [results.arrays.get(f"translation_{source}_{target}_{part}") for part in parts]
    if any(array is None or not len(array) for array in arrays):
        return []
    found = []
    for case in zip(*arrays, strict=True):
        images = np.stack([np.asarray(one) for one in case])
        alt = f"{source}, drawn {target}, mean, true {target}, {', '.join(parts[4:])}"
        per_row = len(parts) if results.dims == 2 else 2
        found.append(page.image_strip(images, alt, per_row, results.spacing))
    return found


def retrieval_section(results: Results) -> Section:
    """Recall of every pair of modalities, both ways."""
    rows = []
    for pair in results.part("retrieval").get("pairs") or ():
        cells: list[Any] = [
            " and ".join(pair["pair"]),
            "trained" if pair["trained"] else "emergent",
        ]
        for way in ("forward", "backward"):
            one = pair[way]
            cells += [
                _percent(one["recall_1"]),
                _percent(one["recall_5"]),
                _cell(one["auroc"], 1.0, 2),
                page.percent(one.get("chance")),
            ]
        cells.append(page.number(pair["gallery"]))
        rows.append(cells)
    return page.section(results, "retrieval", "Retrieval", rows=rows)


def partners_section(results: Results) -> Section:
    """What a partner changes, of every route."""
    rows, blank, found = [], [], results.part("partners")
    for route in found.get("routes") or ():
        name = f"{route['source']} to {route['target']}"
        if line := blank_of(route, route.get("examples", 0)):
            blank.append(f"{name}: {line}")
        measured = [*route["psnr"].values(), *route["gain"].values()]
        rows.append([
            name, "trained" if route["trained"] else "emergent",
            page.number(route["influence"], 3), *(_cell(one, 1.0, 2) for one in measured),
        ])  # fmt: skip
    return page.section(
        results, "partners", "Partners", rows=rows, blank="; ".join(blank),
        alone=found.get("alone", True),
    )  # fmt: skip


def _percent(value: dict[str, Any]) -> tuple[str, str]:
    return page.percent(value["value"]), page.span(value["interval"], page.percent)


def texts_section(results: Results) -> Section:
    """Facts and words of the reports that are drawn from every modality."""
    found = results.part("texts")
    routes = []
    for route in found.get("routes") or ():
        rows = [
            [name, *(_word(row.get(key)) for key in _WORDS)] for name, row in route["rows"].items()
        ]
        routes.append({**route, "table": rows})
    return page.section(
        results, "texts", "Reports", routes=routes, cases=found.get("cases") or (),
        draws=found.get("draws"),
    )  # fmt: skip


def facts_section(results: Results) -> Section:
    """Facts of reports that images drawn from them show."""
    found = results.part("facts")
    shown = []
    for one in found.get("modalities") or ():
        kinds = list(next(iter(one["rows"].values())))
        rows = [
            [name, *(_percent(row[kind]) for kind in kinds)] for name, row in one["rows"].items()
        ]
        head = ["images", "all facts", *kinds[1:]]
        shown.append({**one, "name": one["modality"], "head": head, "rows": rows})
    return page.section(
        results, "facts", "Facts shown", modalities=shown, left_out=found.get("left_out", "")
    )


def _word(value: Any) -> Any:
    return _percent(value) if isinstance(value, dict) else page.number(value)
