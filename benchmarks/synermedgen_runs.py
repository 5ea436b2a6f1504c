"""Zero-shot drawing behind understanding of every arm: trains, measures, and compares by subject.

    python benchmarks/synermedgen_runs.py --runs=runs/synergy --arms aligned questions --seeds 0 1 2
    python benchmarks/synermedgen_runs.py --runs=runs/synergy --arms aligned questions --split=test

What is compared, and what would count as support, was written down in docs/synermedgen.md before the
runs. The first command measures on validation subjects and may be stopped and given again; the second
opens the test split, once. Of every workdir W the figures of each slice and route are kept in
W/outcome_SPLIT.npz.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from common import call, keep

CONFIG = "configs/synermedgen_phantom.py"
FIRST = "aligned"
BASELINES = ("identity", "mean image", "tone curve")
DRAWS, RESAMPLES, NEAR = 8, 2000, 3
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
    parser.add_argument("--output", help="JSON file for the figures")
    return parser.parse_args(arguments)


def run(o: argparse.Namespace, arm: str, seed: int) -> dict[str, np.ndarray]:
    """The figures of one seed of an arm, which is trained where it is not."""
    workdir = o.runs / f"{arm}_{seed}"
    words = "+".join(word for word in (o.variant, arm) if word)
    overrides = (*_NO_CONTROLS, *o.overrides, f"train.seed={seed}")
    call("train", f"--config={CONFIG}:{words}", f"--workdir={workdir}", "--no-evaluate",
         *(f"--config.{one}" for one in overrides))  # fmt: skip
    kept = workdir / f"outcome_{o.split}.npz"
    if not kept.exists():
        np.savez(kept, **measure(workdir, o.split, o.examples))
    with np.load(kept, allow_pickle=False) as found:
        return dict(found)


def measure(workdir: Path, split: str, count: int) -> dict[str, np.ndarray]:
    """Figures of every slice of every route, ``[N]`` by ``FIGURE/ROUTE/METHOD``, and its subject."""
    from msflow_jax import data
    from msflow_jax.evaluation.features import train_feature_classifier
    from msflow_jax.paired.pairs import examples
    from msflow_jax.paired.sections import baselines, foreground
    from msflow_jax.workdir import open_workdir

    flow = open_workdir(workdir)
    splits = data.load(flow.config.data)
    chosen, names = getattr(splits, split), tuple(flow.model.modalities)
    images = np.concatenate([splits.train.arrays[name] for name in names])
    labels = np.repeat(np.arange(len(names)), len(splits.train))
    order = np.random.default_rng(0).permutation(len(labels))[:4000]
    judge = train_feature_classifier(
        images[order], labels[order].astype(np.int32), len(names), seed=0
    )
    found: dict[str, np.ndarray] = {}
    for source in names:
        for target in names:
            if source == target:
                continue
            some = examples(chosen, (source, target), count)
            draws = flow.translate(
                {source: some.arrays[source]},
                target,
                draws=DRAWS,
                description=f"{source} to {target}",
            )
            drawn = {"drawn": draws.astype(float).mean(axis=0) / 255, "one draw": draws[0] / 255.0}
            drawn |= baselines(splits.train, some.arrays[source], source, target)
            inside = foreground(some, (source, target))
            for method, image in drawn.items():
                own = figures(image, some, chosen, target, inside, judge, names.index(target))
                found |= {f"{k}/{source}-{target}/{method}": v for k, v in own.items()}
            found[f"subject/{source}-{target}"] = np.array(some.groups)
    return found


def figures(
    image: np.ndarray,
    some: Any,
    whole: Any,
    target: str,
    inside: np.ndarray,
    judge: Any,
    wanted: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Measures of images in [0, 1]; whether they look like the target and lie nearest their slice."""
    from msflow_jax.evaluation import translation

    truth = some.arrays[target] / 255.0
    scores = translation.scores(truth, image, inside)
    looks = judge.predict(np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)) == wanted
    return {
        **{key: scores[key] for key in ("psnr", "ssim", "mae", "psnr_inside")},
        "looks": looks.astype(float),
        "matches": matches(image, some, whole, target),
        "lesion": lesion_contrast(image, truth, some),
    }


def matches(image: np.ndarray, some: Any, whole: Any, target: str) -> np.ndarray:
    """Whether the nearest of the true slices within ``NEAR`` of its volume is the right one, ``[N]``."""
    volumes, numbers = (np.asarray(whole.truth[key]) for key in ("volume", "slice"))
    step = np.min(np.diff(np.unique(numbers)))
    found = []
    for i, one in enumerate(image):
        volume, number = some.truth["volume"][i], some.truth["slice"][i]
        near = np.flatnonzero((volumes == volume) & (abs(numbers - number) <= NEAR * step))
        gaps = np.square(whole.arrays[target][near] / 255.0 - one[None]).mean(axis=(1, 2, 3))
        found.append(float(numbers[near[gaps.argmin()]] == number))
    return np.array(found)


def lesion_contrast(image: np.ndarray, truth: np.ndarray, some: Any) -> np.ndarray:
    """Share of a lesion's true contrast to what surrounds it that is drawn, ``[N]``; NaN without one."""
    from scipy.ndimage import binary_dilation

    from msflow_jax.data.phantoms.tasks import MAP_CLASSES
    from msflow_jax.evaluation.lesions import LESION

    found = np.full(len(image), np.nan)
    for i, classes in enumerate(some.arrays["map"]):
        lesion = classes == MAP_CLASSES.index(LESION)
        ring = binary_dilation(lesion, iterations=2) & ~lesion
        if lesion.sum() < 3 or not ring.any():
            continue
        true, drawn = (x[i][lesion].mean() - x[i][ring].mean() for x in (truth, image))
        if abs(true) > 0.05:  # in CT a lesion hardly shows
            found[i] = drawn / true
    return found


def compare(
    one: list[dict[str, Any]], other: list[dict[str, Any]], figure: str, methods: tuple[str, str],
    routes: list[str],
) -> dict[str, Any]:  # fmt: skip
    """Mean over routes of a paired difference, over seeds, with an interval over subjects.

    Args:
        one: figures of the seeds of an arm.
        other: those of what it is compared with, seed by seed.
        figure: such as ``psnr``.
        methods: method of each.
        routes: routes that are averaged.
    """
    differences = [
        {r: a[f"{figure}/{r}/{methods[0]}"] - b[f"{figure}/{r}/{methods[1]}"] for r in routes}
        for a, b in zip(one, other, strict=True)
    ]
    subjects = {r: one[0][f"subject/{r}"] for r in routes}
    every = np.unique(np.concatenate(list(subjects.values())))
    sums, counts = (np.zeros((len(routes), len(every))) for _ in range(2))
    for i, r in enumerate(routes):
        at = np.searchsorted(every, subjects[r])
        mean = np.mean([one[r] for one in differences], axis=0)
        there = np.isfinite(mean)
        np.add.at(sums[i], at[there], mean[there])
        np.add.at(counts[i], at[there], 1)

    def value(weights: np.ndarray) -> float:
        total = counts @ weights
        used = total > 0
        return float(((sums @ weights)[used] / total[used]).mean())

    rng = np.random.default_rng(0)
    drawn = [
        value(rng.multinomial(len(every), np.full(len(every), 1 / len(every))).astype(float))
        for _ in range(RESAMPLES)
    ]
    seeds = [float(np.mean([np.nanmean(one[r]) for r in routes])) for one in differences]
    return {
        "value": value(np.ones(len(every))), "interval": np.quantile(drawn, [0.025, 0.975]).tolist(),
        "seeds": seeds,
    }  # fmt: skip


def main() -> None:
    """The command."""
    from msflow_jax.synergy.recipes import HELD_OUT

    o = parse()
    runs = {arm: [run(o, arm, seed) for seed in o.seeds] for arm in o.arms}
    every = sorted({key.split("/")[1] for key in runs[o.arms[0]][0]})
    kinds = {
        "all": every, "MR to MR": [r for r in every if "ct" not in r.split("-")],
        "to CT": [r for r in every if r.endswith("-ct")],
        "from CT": [r for r in every if r.startswith("ct-")],
        "held out": [r for r in every if r in HELD_OUT],
    }  # fmt: skip
    record: dict[str, Any] = {"split": o.split, "seeds": o.seeds, "levels": {}, "differences": {}}
    zero = [dict.fromkeys(one, 0.0) for one in runs[o.arms[0]]]
    for figure in ("psnr", "psnr_inside", "ssim", "mae", "looks", "matches", "lesion"):
        for arm, seeds in runs.items():
            for method in ("drawn", "one draw", *(BASELINES if arm == o.arms[0] else ())):
                name = arm if method == "drawn" else f"{arm}, {method}"
                row = {
                    k: compare(seeds, zero, figure, (method, method), r) for k, r in kinds.items()
                }
                record["levels"].setdefault(figure, {})[name] = row
                shown = "  ".join(f"{k} {one['value']:.3f}" for k, one in row.items())
                print(f"{figure} {name}: {shown}", flush=True)
        for name, others, method in (
            *((arm, runs[arm], "drawn") for arm in o.arms[1:]),
            *((method, runs[o.arms[0]], method) for method in BASELINES),
        ):
            row = {
                k: compare(runs[o.arms[0]], others, figure, ("drawn", method), r)
                for k, r in kinds.items()
            }
            record["differences"].setdefault(figure, {})[f"{o.arms[0]} - {name}"] = row
            one = row["all"]
            low, high = one["interval"]
            print(f"{figure} {o.arms[0]} - {name}: {one['value']:+.3f} ({low:+.3f} to {high:+.3f})")
    keep(record, o.output)


if __name__ == "__main__":
    main()
