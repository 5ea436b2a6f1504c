"""Zero-shot drawing behind understanding of every arm: trains, measures, and compares by subject.

    python benchmarks/synermedgen_runs.py --runs=runs/synergy --arms aligned questions --seeds 0 1 2
    python benchmarks/synermedgen_runs.py --runs=runs/synergy --arms aligned questions --split=test

What is compared, and what would count as support, was written down in docs/synermedgen.md before the
runs. The first command measures on validation subjects and may be stopped and given again; the second
opens the test split, once. Of every workdir W the figures of each slice and route are kept in
W/figures_SPLIT_EXAMPLES.npz, what it understands in W/understood_SPLIT.json. A record has the PSNR of
every slice, so that an arm that is trained later needs no other beside it (``--beside``).
"""

import argparse
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from common import call, keep
from synermedgen_figures import CONFIG, UNSEEN, WAYS, judge, kept_slices, measure, recorded

from msflow_jax.storage.atomic import write_atomically

FIRST = "aligned"
# Arms that are another arm with other settings.
CHANGED = {"no_places": (FIRST, ("model.tasks.places=0.0",))}
BASELINES = ("identity", "mean image", "tone curve")
FIGURES = ("psnr", "psnr_inside", "ssim", "mae", "looks", "matches")
# Shares of sums over all slices: a mean of shares would be ruled by what hardly shows.
SHARES = {
    "lesion_kept": ("lesion_drawn", "lesion_true"), "dice_fluid": ("fluid_both", "fluid_total"),
    "dice_brain": ("brain_both", "brain_total"), "dice_lesion": ("lesion_both", "lesion_total"),
    "lesion_recall": ("lesions_found", "lesions"),
    "lesion_precision": ("lesions_found", "lesions_marked"),
}  # fmt: skip
RESAMPLES = 1000
SHOWING = ("t2w", "pdw", "flair")  # contrasts that show lesions
_NO_CONTROLS = ("model.regression.routes=()", "model.segmenter.modalities=()")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder of the workdirs")
    parser.add_argument("--arms", nargs="+", default=[FIRST, "questions", "random"])
    parser.add_argument("--variant", default="zero_shot", help="further words of the configuration")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--split", default="val", choices=("val", "test"))
    parser.add_argument("--overrides", nargs="*", default=[], help="of all arms, as train.steps=9")
    parser.add_argument("--examples", type=int, default=64, help="slices of each route at most")
    parser.add_argument("--unseen", default="", choices=tuple(UNSEEN), help="data of another kind")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--judge", type=Path, help="folder of the segmenter (default: of the runs)")
    parser.add_argument("--beside", type=Path, help=f"record of these seeds, whose {FIRST} leads")
    parser.add_argument("--output", help="JSON file for the figures")
    return parser.parse_args(arguments)


def place(o: argparse.Namespace, arm: str, seed: int) -> Path:
    """The workdir of one of the seeds of an arm."""
    return o.runs / f"{_words(o, arm)}_{seed}"


def _words(o: argparse.Namespace, arm: str) -> str:
    return "+".join(word for word in (o.variant, arm) if word)


def run(o: argparse.Namespace, arm: str, seed: int) -> dict[str, np.ndarray]:
    """The figures of one seed of an arm, which is trained where it is not."""
    workdir, (base, changes) = place(o, arm, seed), CHANGED.get(arm, (arm, ()))
    overrides = (*_NO_CONTROLS, *changes, *o.overrides, f"train.seed={seed}")
    call("train", f"--config={CONFIG}:{_words(o, base)}", f"--workdir={workdir}", "--no-evaluate",
         *(f"--config.{one}" for one in overrides))  # fmt: skip
    # Figures of one way alone are no answer where both are asked for.
    ways = "" if set(o.ways) == set(WAYS) else "_" + o.ways[0].replace(" ", "_")
    kept = workdir / f"{o.unseen or 'figures'}_{o.split}_{o.examples}{ways}.npz"
    if not kept.exists():
        judged = judge(o.judge or o.runs, o.overrides)
        found = measure(workdir, judged, o.split, o.examples, o.unseen, o.ways)
        write_atomically(kept, _bytes(found))
    with np.load(kept, allow_pickle=False) as stored:
        return dict(stored)


def _bytes(arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def understood(workdir: Path, split: str) -> dict[str, float]:
    """Accuracies of all tasks, in each form, and of a probe for the modality; chance is best there."""
    from msflow_jax.inference.evaluated import open_split
    from msflow_jax.storage.jsons import write_json
    from msflow_jax.synergy.understanding_section import Answers
    from msflow_jax.workdir import open_workdir

    kept = workdir / f"understood_{split}.json"
    if not kept.exists():
        flow = open_workdir(workdir)
        evaluation, _ = open_split(flow, split, (), None, ())
        block, _ = Answers(flow.config.sample.answer.count)(evaluation)
        found = {
            f"{task} {form}": one["accuracy"]["value"]
            for task, forms in block["tasks"].items() for form, one in forms.items()
        }  # fmt: skip
        found["modality from content"] = block["probe"]["modality"]["accuracy"]["value"]
        write_json(kept, found)
    return json.loads(kept.read_text(encoding="utf-8"))


def by_subject(
    runs: list[dict[str, Any]], figure: str, method: str, routes: list[str]
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Sums and counts of a figure by route and subject ``[R, S]``, over seeds; and each seed's mean."""
    every = np.unique(np.concatenate([runs[0][f"subject/{route}"] for route in routes]))
    sums, counts = np.zeros((2, len(routes), len(every)))
    for one in runs:
        for i, route in enumerate(routes):
            values = one[f"{figure}/{route}/{method}"]
            there = np.isfinite(values)
            at = np.searchsorted(every, one[f"subject/{route}"][there])
            np.add.at(sums[i], at, values[there] / len(runs))
            np.add.at(counts[i], at, 1 / len(runs))
    seeds = [float(_finite_mean([_finite_mean(one[f"{figure}/{r}/{method}"]) for r in routes]))
             for one in runs]  # fmt: skip
    return sums, counts, seeds


def _finite_mean(values: Any) -> float:
    values = np.asarray(values, float)
    return float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else float("nan")


def same_slices(runs: dict[str, list[dict[str, Any]]]) -> None:
    """Refuses arms or seeds that were not measured on the same slices."""
    first = next(iter(runs.values()))[0]
    for arm, seeds in runs.items():
        for one in seeds:
            for key, rows in first.items():
                if key.startswith("slice/") and not np.array_equal(rows, one.get(key)):
                    raise ValueError(
                        f"{arm} was measured on other slices ({key}): remove its outcome"
                    )


def interval(value: Any, subjects: int) -> list[float]:
    """95 % of the values of resampled subjects, of weights ``[S]``. Seeds are not resampled."""
    rng, even = np.random.default_rng(0), np.full(subjects, 1 / subjects)
    drawn = [value(rng.multinomial(subjects, even).astype(float)) for _ in range(RESAMPLES)]
    return np.nanquantile(drawn, [0.025, 0.975]).tolist()


def level(runs: list[dict[str, Any]], figure: str, method: str, routes: list[str]) -> Any:
    """The mean over routes as a function of weights of the subjects, and each seed's."""
    if figure in SHARES:
        part, whole = (by_subject(runs, k, method, routes)[0] for k in SHARES[figure])
        return lambda w: float((part @ w).sum() / ((whole @ w).sum() or np.nan)), []
    sums, counts, seeds = by_subject(runs, figure, method, routes)

    def value(weights: np.ndarray) -> float:
        total = counts @ weights
        return float(((sums @ weights)[total > 0] / total[total > 0]).mean())

    return value, seeds


def describe(
    runs: dict[str, list[dict[str, Any]]], figure: str, routes: list[str], ways: list[str]
) -> dict[str, Any]:
    """Levels of all arms and baselines, and differences of the first arm to each, with intervals."""
    arms = list(runs)
    rows = [(arm, runs[arm], way) for arm in arms for way in ways]
    rows += [(name, runs[arms[0]], name) for name in (*BASELINES, "true target")]
    subjects = len(np.unique(np.concatenate([runs[arms[0]][0][f"subject/{r}"] for r in routes])))
    found: dict[str, Any] = {}
    for name, seeds, method in rows:
        value, each = level(seeds, figure, method, routes)
        title = name if name == method else f"{name}, {method}"
        found[title] = {
            "value": value(np.ones(subjects)), "interval": interval(value, subjects), "seeds": each,
        }  # fmt: skip
        if title != f"{arms[0]}, {ways[0]}":
            own, mine = level(runs[arms[0]], figure, ways[0], routes)

            def gap(weights: np.ndarray, own: Any = own, value: Any = value) -> float:
                return own(weights) - value(weights)

            found[title]["first minus this"] = {
                "value": gap(np.ones(subjects)), "interval": interval(gap, subjects),
                "seeds": [a - b for a, b in zip(mine, each, strict=True)],
            }  # fmt: skip
    return found


def main() -> None:
    """The command."""
    from msflow_jax.synergy.recipes import HELD_OUT

    o = parse()
    if o.unseen == "contrast" and o.variant != "zero_shot":
        raise ValueError("--unseen=contrast: drawing from pairs is told the name of the source")
    runs = {arm: [run(o, arm, seed) for seed in o.seeds] for arm in o.arms}
    same_slices(runs)
    record: dict[str, Any] = {"split": o.split, "unseen": o.unseen, "seeds": o.seeds}
    lead = {FIRST: recorded(o.beside, FIRST, runs[o.arms[0]], record)} if o.beside else {}
    every = sorted(key.split("/")[1] for key in runs[o.arms[0]][0] if key.startswith("slice/"))
    kinds = {
        "all": every, "MR to MR": [r for r in every if "ct" not in r.split("-")],
        "to CT": [r for r in every if r.endswith("-ct")],
        "from CT": [r for r in every if r.startswith("ct-")],
        "held out": [r for r in every if r in HELD_OUT],
        "lesions show": [r for r in every if set(r.split("-")) <= set(SHOWING)],
    }  # fmt: skip
    kinds = {kind: routes for kind, routes in kinds.items() if routes}
    record["figures"] = {}
    for figure in (*FIGURES, *SHARES):
        arms = {**lead, **runs} if figure == "psnr" else runs
        record["figures"][figure] = {
            kind: describe(arms, figure, r, o.ways) for kind, r in kinds.items()
        }
        for name, row in record["figures"][figure]["all"].items():
            gap = row.get("first minus this")
            low, high = gap["interval"] if gap else (0, 0)
            shown = (
                f"  first minus this {gap['value']:+.3f} ({low:+.3f} to {high:+.3f})" if gap else ""
            )
            print(f"{figure} {name}: {row['value']:.3f}{shown}", flush=True)
    record["understanding"] = {}
    for arm in o.arms:
        seeds = [understood(place(o, arm, seed), o.split) for seed in o.seeds]
        record["understanding"][arm] = {key: [one[key] for one in seeds] for key in seeds[0]}
        for key, values in record["understanding"][arm].items():
            print(f"{arm}: {key} {', '.join(f'{value:.3f}' for value in values)}", flush=True)
    keep({**record, "slices": kept_slices(runs, o.ways)}, o.output)


if __name__ == "__main__":
    main()
