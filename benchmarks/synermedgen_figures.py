"""What is measured of drawings of one workdir: slice by slice, beside simple methods.

Used by ``synermedgen_runs.py``.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import call

CONFIG = "configs/synermedgen_phantom.py"
DRAWS, NEAR = 8, 3
WAYS = ("by look", "by name")  # the mean look of the target's training images is the primary one
# Data that no stage saw: other settings of the phantoms, and of what sources are made.
UNSEEN = {
    "": {},
    "scanner": {"phantoms.noise": 0.04, "phantoms.bias": 0.4},  # twice what training has
    "spacing": {"slices.spacing": 5.0},
    "contrast": {},
}
CONTRAST = "stir"  # a source that the model has no name for
TISSUES = {"fluid": ("csf",), "brain": ("grey matter", "white matter"), "lesion": ("lesion",)}


def judge(runs: Path, overrides: Sequence[str] = ()) -> Path:
    """A workdir that segments all modalities, trained once on the training images of all arms.

    Of ``overrides`` it has those of the data.
    """
    workdir = runs / "judge"
    call("train", f"--config={CONFIG}:zero_shot+random", f"--workdir={workdir}", "--no-evaluate",
         "--config.model.lengths.reconstruct=0.001", "--config.model.regression.routes=()",
         "--config.model.segmenter.modalities=('ct','t1w','t2w','pdw','flair')",
         *(f"--config.{one}" for one in overrides if one.startswith("data.")))  # fmt: skip
    return workdir


def measure(
    workdir: Path,
    judged: Path,
    split: str,
    count: int,
    unseen: str,
    ways: Sequence[str] = WAYS,
) -> dict[str, np.ndarray]:
    """Figures of every slice of every route, ``[N]`` by ``FIGURE/ROUTE/METHOD``, and its subject.

    Args:
        workdir: a run.
        judged: a workdir of :func:`judge`.
        split: name of the split.
        count: slices of a route at most.
        unseen: key of ``UNSEEN``; of another contrast all sources are it, under the names of others.
        ways: of ``WAYS``, those to draw by.
    """
    from msflow_jax import data
    from msflow_jax.paired.pairs import examples
    from msflow_jax.paired.sections import baselines, foreground
    from msflow_jax.workdir import open_workdir

    flow, segments = open_workdir(workdir), open_workdir(judged)
    splits = data.load(flow.config.data)
    chosen, names = getattr(splits, split), tuple(flow.model.modalities)
    if unseen:
        changed = flow.config.data.copy_and_resolve_references()
        changed.update_from_flattened_dict(UNSEEN[unseen])
        chosen = getattr(data.load(changed), split)
    classify = _classifier(splits.train, names)
    looks = {name: mean_look(flow, splits.train.arrays[name]) for name in names}
    found: dict[str, np.ndarray] = {}
    for target in names:
        sources = [name for name in names if name != target]
        if unseen == "contrast":
            sources = [CONTRAST]
        for source in sources:
            some = examples(chosen, (source, target), count)
            given = some.arrays[source]
            # What it is called does not reach a drawing without pairs; a route must exist.
            named = source if source in names else next(name for name in names if name != target)
            drawn = translations(flow, given, named, target, looks[target], ways)
            drawn["true target"] = some.arrays[target] / 255.0  # the ceiling of judges
            drawn |= baselines(splits.train, given, source, target)
            inside = foreground(some, (source, target))
            for method, image in drawn.items():
                own = figures(image, some, chosen, target, inside)
                own["looks"] = (classify(image) == names.index(target)).astype(float)
                own |= anatomy(segments, image, some, target)
                found |= {f"{k}/{source}-{target}/{method}": v for k, v in own.items()}
            found[f"subject/{source}-{target}"] = np.array(some.groups)
            found[f"slice/{source}-{target}"] = np.array(some.names)
    return found


def translations(
    flow: Any, given: np.ndarray, source: str, target: str, look: Any, ways: Sequence[str]
) -> dict[str, np.ndarray]:
    """Drawings in [0, 1] by the mean look of the target, or by its name: the mean of 8, and one."""
    from msflow_jax.inference.modality_verbs import shared_numbers
    from msflow_jax.inference.runners import make_translator

    drawn = {}
    for way in ways:
        wanted = look if way == WAYS[0] else None
        run = make_translator(
            flow.model, seed=flow.config.sample.seed, batch=flow.config.sample.batch,
            target=target, draws=DRAWS, look=wanted, **flow.settings("translate"),
        )  # fmt: skip
        items = {source: given}, shared_numbers(given)
        draws = run(flow.params, items, f"{source} to {target}, {way}")
        drawn[way] = draws.astype(float).mean(axis=0) / 255
        drawn[f"{way}, one draw"] = draws[0] / 255.0
    return drawn


def mean_look(flow: Any, images: np.ndarray) -> Any:
    """The mean appearance ``[E]`` of some training images of a modality."""
    import jax.numpy as jnp

    from msflow_jax.data.batches import to_float

    some = images[np.linspace(0, len(images) - 1, 256).astype(int)]
    return flow.model.see(flow.params, to_float(jnp.asarray(some))).look.mean(axis=0)


def _classifier(train: Any, names: tuple[str, ...]) -> Any:
    """``images [N, *shape] in [0, 1] -> modality [N]``, trained on real images."""
    from msflow_jax.evaluation.features import train_feature_classifier

    images = np.concatenate([train.arrays[name] for name in names])
    labels = np.repeat(np.arange(len(names)), len(train)).astype(np.int32)
    order = np.random.default_rng(0).permutation(len(labels))[:4000]
    found = train_feature_classifier(images[order], labels[order], len(names), seed=0)
    return lambda image: found.predict(np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8))


def figures(
    image: np.ndarray, some: Any, whole: Any, target: str, inside: np.ndarray
) -> dict[str, np.ndarray]:
    """Measures of images in [0, 1], and whether they lie nearest their own slice."""
    from msflow_jax.evaluation import translation

    truth = some.arrays[target] / 255.0
    scores = translation.scores(truth, image, inside)
    return {
        **{key: scores[key] for key in ("psnr", "ssim", "mae", "psnr_inside")},
        "matches": matches(image, some, whole, target),
        **lesion_contrast(image, truth, some),
    }


def anatomy(judged: Any, image: np.ndarray, some: Any, target: str) -> dict[str, np.ndarray]:
    """What the judge sees of tissues, as counts ``[N]`` whose sums make Dice, recall and precision."""
    from msflow_jax.evaluation.lesions import count_lesions
    from msflow_jax.paired.anatomy import segmenter

    controls = judged.model.controls
    seen = segmenter(controls, target, 256)(judged.params, np.asarray(image, np.float32))
    masks = {
        name: [np.isin(x, [controls.tissues.index(part) for part in parts])
               for x in (some.arrays["map"], seen)]
        for name, parts in TISSUES.items()
    }  # fmt: skip
    found = {}
    for name, (true, given) in masks.items():
        found[f"{name}_both"] = 2.0 * (true & given).sum(axis=(1, 2))
        found[f"{name}_total"] = (true.sum(axis=(1, 2)) + given.sum(axis=(1, 2))).astype(float)
    counts = {key: of.astype(float) for key, of in count_lesions(*masks["lesion"]).items()}
    return {
        **found, "lesions_found": counts["found"], "lesions": counts["found"] + counts["lost"],
        "lesions_marked": counts["found"] + counts["added"],
    }  # fmt: skip


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


def lesion_contrast(image: np.ndarray, truth: np.ndarray, some: Any) -> dict[str, np.ndarray]:
    """Contrast of lesions to what surrounds them, ``[N]``: what is true, and what of it is drawn.

    NaN without a lesion of three pixels. Their sums make the share that is kept: a mean of shares
    would be ruled by lesions that hardly show.
    """
    from scipy.ndimage import binary_dilation

    from msflow_jax.data.phantoms.tasks import MAP_CLASSES
    from msflow_jax.evaluation.lesions import LESION

    true, drawn = np.full((2, len(image)), np.nan)
    for i, classes in enumerate(some.arrays["map"]):
        lesion = classes == MAP_CLASSES.index(LESION)
        ring = binary_dilation(lesion, iterations=2) & ~lesion
        if lesion.sum() >= 3 and ring.any():
            contrasts = [x[i][lesion].mean() - x[i][ring].mean() for x in (truth, image)]
            true[i], drawn[i] = abs(contrasts[0]), contrasts[1] * np.sign(contrasts[0])
    return {"lesion_true": true, "lesion_drawn": drawn}


def kept_slices(
    runs: Mapping[str, Sequence[Mapping[str, Any]]], ways: Sequence[str]
) -> dict[str, Any]:
    """PSNR of every slice, by arm and seed, for a record that other arms are compared with later."""
    of_arms = {
        arm: [
            {key: np.round(rows, 3).tolist() for key, rows in one.items()
             if key.startswith("psnr/") and key.split("/")[2] in ways}
            for one in seeds
        ]
        for arm, seeds in runs.items()
    }  # fmt: skip
    return {"measured on": _slices_of(next(iter(runs.values()))[0]), "arms": of_arms}


def recorded(
    path: Path, arm: str, like: Sequence[Mapping[str, Any]], setting: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The PSNR that an earlier record has of an arm; all else is that of ``like``, seed by seed.

    Raises:
        ValueError: it was measured on other slices, or in another ``setting`` (seeds, split, unseen).
    """
    record = json.loads(path.read_text(encoding="utf-8"))
    found = record["slices"]
    # Slices of another scanner have the same names.
    other = [key for key, value in setting.items() if record[key] != value]
    if other or found["measured on"] != _slices_of(like[0]):
        raise ValueError(f"{path} has other {', '.join(other) or 'slices'}: train {arm} instead")
    pairs = zip(like, found["arms"][arm], strict=True)
    return [{**one, **{key: np.array(rows) for key, rows in psnr.items()}} for one, psnr in pairs]


def _slices_of(run: Mapping[str, Any]) -> str:
    names = [[key, *map(str, run[key])] for key in sorted(run) if key.startswith("slice/")]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
