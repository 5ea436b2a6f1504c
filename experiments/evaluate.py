"""Evaluate a workdir on a split: evaluation.json, evaluation.npz and report/index.html.

python -m experiments.evaluate --workdir=runs/quickstart --split=test --draws=8
python -m experiments.evaluate --workdir=runs/magic_pneumonia --outside=retinamnist.npz:test
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.common import Trained, open_workdir, parser, run

# How many of each the report shows.
_SHOWN_SAMPLES, _SHOWN_CASES = 10, 8
# How many training images are read for comparison, if they do not lie in memory anyway.
_MOST_READ = 20_000
# Of a likelihood: training images as reference, and the temperatures of the samples shown.
_REFERENCE, _TEMPERATURES, _SHOWN_A_CLASS = 1000, (0.5, 0.7, 0.85, 1.0), 4


def evaluate(
    workdir: Path,
    split: str = "test",
    root: str = "",
    draws: int = 0,
    steps: int = 0,
    prior: str = "",
    temperature: float = 0.0,
    outside: Sequence[str] = (),
    features: Path | None = None,
) -> dict[str, Any]:
    """Measure the best checkpoint on a split, write the results, build the report.

    Args:
      workdir: of a trained model.
      split: ``val`` or ``test``; the official test split is for the end.
      root: where the data lie, if no longer where the configuration says.
      draws: noise draws of the classification, 0 as configured.
      steps: solver steps of the classification, 0 as configured.
      prior: of the classes, ``natural`` (as trained) or ``uniform``; empty as configured.
      temperature: of a coupling flow's latents when it draws, 0 as configured.
      outside: images of another kind (a folder, an .npz), which a coupling flow should find unlikely.
      features: folder of ``tools/convert_features.py``, for further distances of the drawn images.

    Raises:
      ValueError: the data there are not the ones that the model was trained on, or ``outside`` for a
        model without a likelihood.
    """
    import numpy as np

    from msflow_jax import data
    from msflow_jax.coupling import CouplingFlow
    from msflow_jax.inference.runners import own_settings
    from msflow_jax.reports import build_report
    from msflow_jax.workdir import write_json

    trained = open_workdir(workdir)
    config = trained.config.unlock()
    config.data.root = root or config.data.root
    config.sample.classify.draws = draws or config.sample.classify.draws
    config.sample.classify.steps = steps or config.sample.classify.steps
    config.sample.classify.prior = prior or config.sample.classify.prior
    coupling = isinstance(trained.model, CouplingFlow)
    drawing = config.sample.generate
    drawing.temperature = temperature or drawing.temperature
    own_settings(trained.model, {}, {"steps": steps, "temperature": temperature})
    if outside and not coupling:
        raise ValueError(f"--outside needs a likelihood, which the model of {workdir} has not")
    others = _outside(trained, outside)
    splits = data.load(config.data)
    if splits.info.md5 != trained.info.md5:
        raise ValueError(
            f"{splits.info.source} has md5 {splits.info.md5}, but {workdir} was trained on "
            f"{trained.info.md5}: point --root at the data of the run"
        )
    train = data.in_memory(splits.train, _MOST_READ, config.sample.seed)
    splits = dataclasses.replace(splits, train=train)
    found: dict[str, Any] = {
        "split": split,
        "family": config.model.family,
        "data": trained.info.to_dict(),
        "settings": {
            **config.sample.to_dict(),
            "step": trained.step,
            "training_images_compared": len(train),
        },
    }
    if config.model.task == "segment":
        arrays = _segmentation(trained, splits, split, found)
    else:
        reading, arrays = _classification(trained, splits, split, found)
        arrays |= _generation(trained, splits, split, found, features)
        if coupling:
            arrays |= _likelihood(trained, splits, split, reading, others, found)
            arrays |= _explanations(trained, splits[split], reading)
            arrays |= _temperatures(trained)
        else:
            arrays |= _paths(trained, splits[split], found)
    write_json(workdir / "evaluation.json", found)
    np.savez_compressed(workdir / "evaluation.npz", **arrays)
    report = build_report(workdir)
    _print_summary(found, report)
    return found


def _print_summary(found: dict[str, Any], report: Path) -> None:
    for part in ("classification", "segmentation"):
        for name in (
            "accuracy",
            "balanced_accuracy",
            "auc_probability",
            "auc_distance",
            "ece",
            "mean_dice",
        ):
            if found.get(part, {}).get(name) is not None:
                print(f"{found['split']} {name:18s} {found[part][name]:.4f}")
    for row in found.get("likelihood", {}).get("per_set", ()):
        print(f"{row['name']}: {row['mean']:.3f} bits per dimension")
    print(f"report: {report}")


def _classification(
    trained: Trained, splits, split: str, found: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The reading; metrics, the abstention table, and the surest and least sure images."""
    import numpy as np

    from msflow_jax.evaluation import evaluate_classifier
    from msflow_jax.evaluation.calibration import evaluate_calibration
    from msflow_jax.evaluation.classification import LIKELIHOOD_CONVENTIONS
    from msflow_jax.inference.runners import configured_classifier

    sample, chosen = trained.config.sample, splits[split]
    classify = configured_classifier(trained.model, splits.info, sample)
    val = classify(trained.params, splits.val.images, "reading the validation split")
    reading = val if split == "val" else classify(
        trained.params, chosen.images, f"reading the {split} split"
    )  # fmt: skip
    if reading.log_prob is not None:
        logits = [-one.distance for one in (val, reading)]
        found["calibration"] = evaluate_calibration(
            splits.val.labels, logits[0], chosen.labels, logits[1]
        )
        val, reading = (
            one.apply_temperature(found["calibration"]["temperature"]) for one in (val, reading)
        )
    doubts = val.uncertainty
    shares = np.linspace(0.05, 1, 20)
    # Largest uncertainty among the surest share of the validation split: the thresholds to abstain.
    found["abstain"] = {
        "coverage": [round(float(s), 2) for s in shares],
        **{name: np.quantile(d, shares).tolist() for name, d in doubts.items()},
    }
    doubts = reading.uncertainty
    found["classification"] = evaluate_classifier(
        chosen.labels, reading.distances, reading.probabilities, doubts, trained.model.classes,
        conventions=None if reading.log_prob is None else LIKELIHOOD_CONVENTIONS,
    )  # fmt: skip
    found["classification"]["nfe"] = float(reading.nfe.mean())
    mode = (reading.mode == chosen.labels).mean(axis=1)
    found["classification"]["accuracy_mode_rule"] = float(mode.mean())
    prediction = reading.prediction
    order = np.argsort(doubts["distance"], kind="stable")
    arrays = {}
    for name, index in (
        ("certain", order[:_SHOWN_CASES]),
        ("uncertain", order[::-1][:_SHOWN_CASES]),
    ):
        arrays[f"{name}_images"] = chosen.images[index]
        arrays[f"{name}_labels"] = chosen.labels[index]
        arrays[f"{name}_predictions"] = prediction[index]
        arrays[f"{name}_uncertainty"] = doubts["distance"][index]
    return reading, arrays


def _outside(trained: Trained, paths: Sequence[str]) -> dict[str, Any]:
    """Images of another kind by the last part of their path, at the model's side and channels."""
    from msflow_jax import data

    names = [Path(path).name for path in paths]
    for name in names:
        if names.count(name) > 1 or name in ("train", "val", "test"):
            raise ValueError(
                f"--outside: {name!r} would name two sets of images: give each a name of its own"
            )
    return {
        name: data.read_images(path, trained.info, resize=True)[0]
        for name, path in zip(names, paths, strict=True)
    }


def _likelihood(
    trained: Trained, splits, split: str, reading, others: dict[str, Any], found: dict[str, Any]
) -> dict[str, Any]:
    """Bits per dimension of log p(x): training images, the split, and images from outside."""
    import numpy as np

    from msflow_jax import data
    from msflow_jax.coupling.bijections import bits_per_dimension
    from msflow_jax.evaluation.likelihood import evaluate_likelihood
    from msflow_jax.inference.runners import configured_classifier

    sample, model = trained.config.sample, trained.model
    classify = configured_classifier(model, splits.info, sample)
    few = data.some(splits.train, _REFERENCE, sample.seed)
    read = {
        name: classify(trained.params, images, f"reading {name}")
        for name, images in {"train": few.images, **others}.items()
    }
    if split != "train":
        read = {"train": read.pop("train"), split: reading, **read}
    bits = {
        name: np.asarray(bits_per_dimension(one.log_likelihood, model.dimensions))
        for name, one in read.items()
    }
    found["likelihood"] = {
        **evaluate_likelihood(bits, inside=split, reference="train", outside=tuple(others)),
        "dimensions": model.dimensions,
    }
    return {f"bits_{i}": one.astype(np.float32) for i, one in enumerate(bits.values())}


def _explanations(trained: Trained, split, reading) -> dict[str, Any]:
    """Maps of a few images, of every class in turn: answer, and answer against runner-up."""
    import numpy as np

    from msflow_jax.inference.runners import make_explainer

    rank = [np.flatnonzero(split.labels == k) for k in range(len(trained.model.classes))]
    turns = [members[i] for i in range(_SHOWN_CASES) for members in rank if i < len(members)]
    chosen = np.array(turns[:_SHOWN_CASES])
    order = reading.distance[chosen].argsort(axis=1)
    sample = trained.config.sample
    explain = make_explainer(trained.model, seed=sample.seed, batch=sample.batch)
    found = explain(trained.params, split.images[chosen], order[:, 0], order[:, 1])
    return {
        "explain_images": split.images[chosen],
        "explain_labels": split.labels[chosen],
        "explain_predictions": order[:, 0],
        "explain_against": order[:, 1],
        "explain_map": found.map,
        "explain_contrast": found.contrast,
        "explain_log_prob": found.map.sum(axis=(1, 2), dtype=np.float64),
        "explain_ratio": found.contrast.sum(axis=(1, 2), dtype=np.float64),
    }


def _temperatures(trained: Trained) -> dict[str, Any]:
    """Samples of every class at several temperatures, from the same noise."""
    import jax
    import numpy as np

    from msflow_jax.inference.runners import drawn
    from msflow_jax.parallel.batched import batched

    model, sample = trained.model, trained.config.sample
    shape = (len(_TEMPERATURES), len(model.classes), _SHOWN_A_CLASS)
    which, label, each = (a.ravel().astype(np.int32) for a in np.indices(shape))
    items = {
        "labels": label,
        "index": label * _SHOWN_A_CLASS + each,
        "temperature": np.array(_TEMPERATURES, np.float32)[which],
    }

    def function(params, items, index):
        return model.generate(params, **items, key=jax.random.key(sample.seed))

    images = drawn(batched(function, sample.batch)(trained.params, items))
    return {
        "temperature_values": np.array(_TEMPERATURES),
        "temperature_samples": images.reshape(*shape, *images.shape[1:]),
    }


def _segmentation(trained: Trained, splits, split: str, found: dict[str, Any]) -> dict[str, Any]:
    from msflow_jax.evaluation.segmentation import evaluate_segmentation
    from msflow_jax.inference.runners import make_segmenter

    sample, chosen = trained.config.sample, splits[split]
    settings = sample.classify.to_dict()
    if (prior := settings.pop("prior")) != "natural":
        raise ValueError(f"a segmentation knows no class prior but 'natural', got {prior!r}")
    segment = make_segmenter(trained.model, seed=sample.seed, batch=sample.batch, **settings)
    maps = segment(trained.params, chosen.images, f"segmenting the {split} split")
    found["segmentation"] = evaluate_segmentation(chosen.maps, maps, trained.model.classes)
    return {}


def _generation(
    trained: Trained, splits, split: str, found: dict[str, Any], features: Path | None
) -> dict[str, Any]:
    """Images of every class, and how they compare with the split's."""
    import numpy as np

    from msflow_jax.evaluation import evaluate_generation
    from msflow_jax.evaluation.features import load_features
    from msflow_jax.inference.runners import make_generator, own_settings

    sample = trained.config.sample
    settings = own_settings(trained.model, sample.generate.to_dict())
    count, classes = settings.pop("per_class"), len(trained.model.classes)
    labels = np.tile(np.arange(classes, dtype=np.int32), count)
    generate = make_generator(trained.model, seed=sample.seed, batch=sample.batch, **settings)
    images = generate(trained.params, labels, "generating")
    chosen = splits[split]
    found["generation"] = evaluate_generation(
        images,
        labels,
        (splits.train.images, splits.train.labels),
        (chosen.images, chosen.labels),
        trained.model.classes,
        seed=sample.seed,
        flips="horizontal" in trained.info.flips,
        features=load_features(features) if features else None,
    )
    shown = np.concatenate([np.flatnonzero(labels == k)[:_SHOWN_SAMPLES] for k in range(classes)])
    real = np.concatenate(
        [np.flatnonzero(splits.train.labels == k)[:_SHOWN_SAMPLES] for k in range(classes)]
    )
    nearest = found["generation"]["memorisation"]["nearest"]
    return {
        "samples": images[shown],
        "sample_labels": labels[shown],
        "real": splits.train.images[real],
        "real_labels": splits.train.labels[real],
        "nearest_generated": images[nearest["generated_index"]][:_SHOWN_CASES],
        "nearest_training": splits.train.images[nearest["training_index"]][:_SHOWN_CASES],
    }


def _paths(trained: Trained, split, found: dict[str, Any]) -> dict[str, Any]:
    """One generation and one classification as film strips."""
    import jax
    import numpy as np

    from msflow_jax.data.batches import to_float, to_uint8

    model, key = trained.model, jax.random.key(trained.config.sample.seed)
    label = len(model.classes) - 1
    drawn = jax.jit(model.generation_path)(trained.params, np.array([label]), key)
    image = to_float(jax.numpy.asarray(split.images[:1]))
    read = jax.jit(model.reading_path)(trained.params, image, key)
    arrays: dict[str, Any] = {"classify_true": split.labels[0], "generate_class": np.array(label)}
    for name, (u, states) in (("generate", drawn), ("classify", read)):
        arrays[f"{name}_u"] = np.asarray(u)
        shown = model.show(trained.params, {k: v[:, 0] for k, v in states.items()})
        arrays[f"{name}_image"], arrays[f"{name}_label"] = map(to_uint8, shown)
    predicted = model.code.distances(read[1]["label"][-1])[0].argmin()
    return {**arrays, "classify_predicted": np.asarray(predicted)}


def main(arguments: Sequence[str]) -> None:
    """The command."""
    from msflow_jax.parallel.startup import start_jax

    flags = parser(__doc__ or "")
    flags.formatter_class = argparse.RawDescriptionHelpFormatter
    flags.add_argument("--workdir", required=True, type=Path)
    flags.add_argument("--split", default="test", choices=("train", "val", "test"))
    flags.add_argument("--root", default="", help="where the data lie now")
    flags.add_argument("--draws", type=int, default=0, help="noise draws of the classification")
    flags.add_argument("--steps", type=int, default=0, help="solver steps of the classification")
    flags.add_argument("--prior", default="", choices=("natural", "uniform"), help="of the classes")
    flags.add_argument(
        "--temperature", type=float, default=0.0, help="of a coupling flow's latents when it draws"
    )
    flags.add_argument(
        "--outside", action="append", default=[], metavar="PATH",
        help="images of another kind, for a coupling flow to find unlikely; repeatable",
    )  # fmt: skip
    flags.add_argument(
        "--features",
        type=Path,
        help="folder of tools/convert_features.py: distances by its features",
    )
    o = flags.parse_args(arguments)
    start_jax()
    evaluate(
        o.workdir, o.split, o.root, o.draws, o.steps, o.prior, o.temperature, o.outside, o.features
    )


if __name__ == "__main__":
    run(main)
