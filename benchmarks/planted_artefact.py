"""Does a log-likelihood-ratio map find what decides? A faint patch is planted in half of the images.

    python benchmarks/planted_artefact.py --output benchmarks/results/planted_artefact.json

Head phantoms of 32 x 32 pixels get new labels by the toss of a coin; where the label is 1, a patch of
faint stripes is added at a random place of the head. A small coupling flow is trained to tell the two.
On test images with the patch, the map of log p(x | 1) - log p(x | 0) is compared with where the patch
is: its fraction of the map's absolute mass (a map that knows nothing: the patch's fraction of the
pixels), and the deletion curve: the log-likelihood ratio left when blocks are blurred away in the map's
order and in random order.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from common import keep
from scipy.ndimage import gaussian_filter

PATCH, STRENGTH, BLOCK = 6, 24, 2
ORDERS = 5  # random ones


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument(
        "--discriminative-weight", type=float, default=0.1, help="weight of the cross-entropy"
    )
    parser.add_argument(
        "--net", choices=("residual", "convolutional"), default="residual",
        help="conditioner; the convolutional one, of the configurations, knows places",
    )  # fmt: skip
    parser.add_argument("--images", type=int, default=128, help="test images with the patch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", help="write the measurements to this JSON file")
    parser.add_argument("--picture", help="write a few maps to this PNG file")
    return parser.parse_args(arguments)


def plant(images: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images with patches, their labels, and where the patches are, bool ``[N, S, S]``."""
    rng = np.random.default_rng(seed)
    n, side = images.shape[:2]
    labels = rng.integers(0, 2, n).astype(np.int32)
    corners = rng.integers(side // 4, 3 * side // 4 - PATCH, (n, 2))
    stripes = np.where(np.arange(PATCH) % 2, STRENGTH, -STRENGTH)[None].repeat(PATCH, 0)
    out, where = images.astype(np.int32), np.zeros((n, side, side), bool)
    for i in np.flatnonzero(labels):
        y, x = corners[i]
        out[i, y : y + PATCH, x : x + PATCH, 0] += stripes
        where[i, y : y + PATCH, x : x + PATCH] = True
    return np.clip(out, 0, 255).astype(np.uint8), labels, where


def train(split: Any, val: Any, options: argparse.Namespace) -> tuple[Any, Any]:
    """A coupling flow of the CPU size and its averaged parameters."""
    from msflow_jax.config import default_config
    from msflow_jax.coupling.family import FAMILY, conditioner_settings
    from msflow_jax.coupling.parts import CouplingParts
    from msflow_jax.coupling.recipes import magic
    from msflow_jax.data.base import Splits, own_info
    from msflow_jax.training import fit

    config = magic(default_config("coupling"), "cpu")
    config.model.discriminative_weight = options.discriminative_weight
    if options.net == "residual":  # the patch has no place: nor do these conditioners know any
        config.model.layout = "squeeze channel:8 split squeeze channel:8"
        config.model.split_prior = "normal"
        config.model.conditioner = conditioner_settings("residual")
    config.train.update(dict(steps=options.steps, seed=options.seed, shift=0, flips=False))
    info = own_info(
        ("without", "with"), split.images.shape[1:], name="planted", licence="", md5="", source=""
    )
    parts = CouplingParts()
    model = FAMILY.build(config, info, parts)
    (stage,) = FAMILY.stages(config, Splits(split, val, val, info), parts, model)
    with tempfile.TemporaryDirectory() as folder:
        state = fit(stage, Path(folder))
        return model, jax.device_get(state.ema)


def blurred_away(images: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Images whose chosen blocks ``[N, S / BLOCK, S / BLOCK]`` are replaced by a blurred copy."""
    smooth = np.stack([gaussian_filter(i[..., 0].astype(float), 3)[..., None] for i in images])
    mask = blocks.repeat(BLOCK, 1).repeat(BLOCK, 2)[..., None]
    return np.where(mask, np.rint(smooth), images).astype(np.uint8)


def deletion(ratio: Any, images: np.ndarray, scores: np.ndarray, shares: np.ndarray) -> list[float]:
    """Mean log-likelihood ratio with the blocks of the highest scores blurred away."""
    rank = (-scores.reshape(len(scores), -1)).argsort(1).argsort(1).reshape(scores.shape)
    return [
        float(ratio(blurred_away(images, rank < round(share * rank[0].size))).mean())
        for share in shares
    ]


def main() -> None:
    """Train, measure, print, write."""
    from msflow_jax import data
    from msflow_jax.data.base import Split
    from msflow_jax.evaluation.auc import binary_auc
    from msflow_jax.inference.runners import make_classifier, make_explainer

    options = parse()
    splits = data.load(data.default_config("phantoms"))

    def planted(split: Split, seed: int) -> tuple[Split, np.ndarray]:
        images, labels, where = plant(split.images, seed)
        return Split.of_images(images, labels, split.names), where

    (train_split, _), (val, _), (test, where) = (
        planted(splits[name], seed) for seed, name in enumerate(("train", "val", "test"))
    )
    start = time.perf_counter()
    model, params = train(train_split, val, options)
    minutes = (time.perf_counter() - start) / 60
    found_classes = make_classifier(model, seed=0)(params, test.images, "classifying")
    predicted = found_classes.prediction
    chosen = np.flatnonzero(test.labels == 1)[: options.images]
    images, inside = test.images[chosen], where[chosen]
    ones, zeros = np.ones(len(chosen), np.int32), np.zeros(len(chosen), np.int32)
    explain = make_explainer(model, seed=0)
    found = explain(params, (images, ones, zeros), "explaining")
    mass = np.abs(found.log_ratio)
    share = (mass * inside).sum((1, 2)) / mass.sum((1, 2))
    side = images.shape[1] // BLOCK
    scores = found.log_ratio.reshape(-1, side, BLOCK, side, BLOCK).sum((2, 4))
    shares = np.linspace(0, 0.5, 11)
    rng = np.random.default_rng(0)

    def ratio(changed: np.ndarray) -> np.ndarray:
        return explain(params, (changed, ones, zeros)).log_ratio.sum((1, 2))

    random = [deletion(ratio, images, rng.random(scores.shape), shares) for _ in range(ORDERS)]
    record = {
        "command": " ".join(["python", *sys.argv]),
        "device": f"{jax.devices()[0].device_kind} x {jax.device_count()}",
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
        "training_minutes": minutes,
        "test_images": len(test),
        "test_accuracy": float((predicted == test.labels).mean()),
        "test_auc": binary_auc(test.labels == 1, found_classes.probabilities[0, :, 1]),
        "explained_images": len(chosen),
        "share_of_pixels": PATCH**2 / images[0].size,
        "share_of_mass": {"mean": float(share.mean()), "sd": float(share.std(ddof=1))},
        "brightest_pixel_inside": float(
            np.take_along_axis(inside.reshape(len(inside), -1),
                               found.log_ratio.reshape(len(inside), -1).argmax(1)[:, None], 1).mean()
        ),
        "deletion": {
            "share_of_blocks": shares.tolist(),
            "map_order": deletion(ratio, images, scores, shares),
            "random_order": np.mean(random, axis=0).tolist(),
            "random_order_sd": np.std(random, axis=0, ddof=1).tolist(),
        },
    }  # fmt: skip
    print(json.dumps(record, indent=1))
    keep(record, options.output)
    if options.picture:
        from msflow_jax.inference.explained import panels
        from msflow_jax.reports.figures import encode_png

        rows = [np.hstack(panels(images[i], found.map[i], found.log_ratio[i])) for i in range(6)]
        Path(options.picture).write_bytes(encode_png(np.concatenate(rows)))


if __name__ == "__main__":
    main()
