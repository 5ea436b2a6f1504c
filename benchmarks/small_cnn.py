"""A small classifier on the data of a configuration, to set a flow's classification beside.

    python benchmarks/small_cnn.py --config=configs/magic_phantom_scanner.py --images=48000

Four convolutions (62,887 parameters with seven classes), trained on class-balanced batches of 64 until
it has seen as many images as the flow:
``msflow_jax.evaluation.features``, which also measures the generated images in the reports.
"""

import argparse
import json
import sys
import time

from common import keep

from msflow_jax.config import load_config


def main() -> None:
    """Train, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--images", type=int, default=48_000, help="images seen in training")
    parser.add_argument("--split", default="test", choices=("val", "test"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", help="write the measurements to this JSON file")
    options, rest = parser.parse_known_args()

    from msflow_jax import data
    from msflow_jax.evaluation.confusion import confusion_matrix
    from msflow_jax.evaluation.features import train_feature_classifier

    splits = data.load(load_config([f"--config={options.config}", *rest]).data)
    chosen, classes = splits[options.split], len(splits.info.classes)
    runs = []
    for seed in range(options.seeds):
        start = time.perf_counter()
        network = train_feature_classifier(
            splits.train.images, splits.train.labels, classes, seed=seed, steps=options.images // 64
        )
        minutes = (time.perf_counter() - start) / 60
        counts = confusion_matrix(chosen.labels, network.predict(chosen.images), classes)
        recall = counts.diagonal() / counts.sum(axis=1)
        runs.append(
            {
                "seed": seed,
                "accuracy": float(counts.trace() / counts.sum()),
                "balanced_accuracy": float(recall.mean()),
                "training_minutes": minutes,
            }
        )
    record = {"command": " ".join(["python", *sys.argv]), "split": options.split, "runs": runs}
    print(json.dumps(record, indent=1))
    keep(record, options.output)


if __name__ == "__main__":
    main()
