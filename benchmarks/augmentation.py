"""Whether drawn images help a small CNN: trained on real, on real and drawn, on drawn images alone.

    for s in 0 1 2; do msflow generate --workdir=W --augment --count=273 --seed=$s --output=set$s; done
    python benchmarks/augmentation.py --set=set0 --set=set1 --set=set2

Each set is one seed of the drawing, of the CNN's weights and of its batches. The CNN is that of
``small_cnn.py``: class-balanced batches of 64, as many steps in each case, measured once on the real
test split. Over trainings mean and standard deviation; of the differences to real images alone a
bootstrap over test images (or subjects), of the probabilities that the seeds' CNNs have on average.
"""

import argparse
import json
import sys
from typing import Any

import numpy as np
from common import keep, processor
from scipy.special import softmax

TRAINED_ON = ("real", "real and drawn", "drawn")


def load(table: str) -> Any:
    """The splits of a set that ``generate --augment`` wrote; equal pictures in two splits are kept."""
    from msflow_jax import data
    from msflow_jax.config import default_config

    config = default_config().data
    config.name, config.root, config.duplicates = "manifest", f"{table}/manifest.csv", "keep"
    return data.load(config)


def probabilities(splits: Any, kind: str, steps: int, seed: int) -> np.ndarray:
    """What the CNN says of the test images, ``[N, K]``, after training on images of this kind."""
    from msflow_jax.evaluation.features import train_feature_classifier

    origin = splits.train.truth["origin"]
    chosen = np.flatnonzero([kind == "real and drawn" or one == kind for one in origin])
    train = splits.train.take(chosen)
    network = train_feature_classifier(
        train.images, train.labels, len(splits.info.classes), seed=seed, steps=steps
    )
    return softmax(network.logits(splits.test.images).astype(float), axis=1)


def scores(labels: np.ndarray, p: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """AUC (mean of one against the rest), accuracy and balanced accuracy under weights ``[R, N]``."""
    from msflow_jax.evaluation.auc import weighted_auc

    right = p.argmax(axis=1) == labels
    classes = range(p.shape[1])
    own = [weights * (labels == k) for k in classes]
    recall = [(one * right).sum(1) / one.sum(1) for one in own]
    area = [weighted_auc(labels == k, p[:, k], weights) for k in classes]
    return {
        "auc": np.mean(area, axis=0), "accuracy": (weights * right).sum(1) / weights.sum(1),
        "balanced_accuracy": np.mean(recall, axis=0),
    }  # fmt: skip


def differences(
    labels: np.ndarray, groups: Any, real: np.ndarray, other: np.ndarray
) -> dict[str, Any]:
    """Scores of the other minus those of real images alone, with 95 % intervals."""
    from msflow_jax.evaluation.bootstrap import resample_counts

    names = [str(one) for one in (groups or range(len(labels)))]
    subjects, of_image = np.unique(names, return_inverse=True)

    def gaps(weights: np.ndarray) -> dict[str, np.ndarray]:
        a, b = scores(labels, real, weights), scores(labels, other, weights)
        return {name: b[name] - a[name] for name in a}

    value = gaps(np.ones((1, len(labels))))
    drawn = [gaps(counts[:, of_image]) for counts in resample_counts(len(subjects), 1000, 0)]
    return {
        name: {"value": float(one[0]), "interval": np.nanquantile(
            np.concatenate([row[name] for row in drawn]), [0.025, 0.975]).tolist()}
        for name, one in value.items()
    }  # fmt: skip


def main() -> None:
    """Train, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", required=True, metavar="DIR")
    parser.add_argument("--steps", type=int, default=800, help="of each training, of 64 images")
    parser.add_argument("--output", help="write the measurements to this JSON file")
    options = parser.parse_args()

    found: dict[str, list[np.ndarray]] = {kind: [] for kind in TRAINED_ON}
    for seed, table in enumerate(options.set):
        splits = load(table)
        for kind in TRAINED_ON:
            found[kind].append(probabilities(splits, kind, options.steps, seed))
            print(seed, kind, flush=True)
    labels, train = splits.test.labels, splits.train
    record: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]), "processor": processor(), "test": len(labels),
        "training": {k: int((train.truth["origin"] == k).sum()) for k in ("real", "drawn")},
        "trained_on": {}, "minus_real": {},
    }  # fmt: skip
    for kind, runs in found.items():
        each = [scores(labels, p, np.ones((1, len(labels)))) for p in runs]
        record["trained_on"][kind] = {
            name: {"runs": (v := [float(one[name][0]) for one in each]), "mean": float(np.mean(v)),
                   "sd": float(np.std(v, ddof=1)) if len(v) > 1 else None}
            for name in each[0]
        }  # fmt: skip
        if kind != "real":
            both = [np.mean(found[name], axis=0) for name in ("real", kind)]
            record["minus_real"][kind] = differences(labels, splits.test.groups, *both)
    print(json.dumps(record, indent=1))
    keep(record, options.output)


if __name__ == "__main__":
    main()
