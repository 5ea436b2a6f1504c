"""Made-up workdirs for the tests of the page, and a parser that looks at a page."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np

from msflow_jax.evaluation import evaluate_classifier
from msflow_jax.evaluation.classification import LIKELIHOOD_CONVENTIONS
from msflow_jax.evaluation.counts import count_splits
from msflow_jax.evaluation.curves import one_vs_rest_curves
from msflow_jax.evaluation.likelihood import evaluate_likelihood
from msflow_jax.evaluation.scaled import evaluate_scaling
from msflow_jax.evaluation.scaling import fit_scaling, log_softmax
from msflow_jax.evaluation.selective import kept_by_class
from msflow_jax.evaluation.subgroups import by_subgroup

EVIL = '<script>alert("x")</script> & Co'
CLASSES = ["normal", EVIL, "rare"]
VOID = {"meta", "img", "br", "source"}


class Page(HTMLParser):
    """Collects sections, text and addresses, and checks that tags nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.tags, self.addresses, self.text = [], [], [], [], ""
        self.links, self.images_without_alt = [], 0
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.addresses += [attributes[k] for k in ("src", "href", "srcset") if k in attributes]
        self.images_without_alt += tag == "img" and not attributes.get("alt")
        if tag == "a":
            self.links.append(attributes["href"].removeprefix("#"))
        if tag == "section":
            self.ids.append(attributes["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data


def drawings(text):
    """The charts of a page, each parsed as XML."""
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def classification(rng):
    labels = rng.integers(0, 2, 40)  # The third class stays absent.
    distances = 1 + rng.random((2, 40, 3)) - 0.4 * np.eye(3)[labels]
    powers = np.exp(-3 * distances)
    uncertainties = {"distance": distances.mean(0).min(1), "entropy": rng.random(40)}
    probabilities = powers / powers.sum(-1, keepdims=True)
    found = evaluate_classifier(
        labels, distances, probabilities, uncertainties, CLASSES, resamples=20, ordered=True
    )
    pooled, predicted = probabilities.mean(0), distances.mean(0).argmin(1)
    site = np.where(np.arange(40) < 12, f"north, {EVIL}", "south")
    kept = kept_by_class(labels, predicted, uncertainties["distance"], 0.9, CLASSES)
    extra = {
        "abstention": {"coverage": 0.8, "measures": {"distance": kept}},
        "subgroups": {"site": by_subgroup(labels, predicted, pooled, site, resamples=20)},
    }
    return {**found, **extra}, one_vs_rest_curves(labels, pooled)


def generation():
    scores = {"precision": 0.9, "recall": 0.8, "density": 1.0, "coverage": 0.7, "k": 5}
    gap = {"frechet": None, "undefined": {"frechet": "too few images"}}
    counts = {"generated": 0.5, "generated_count": 8, "real": None, "real_count": 0}
    return {
        "features": "32 features; not FID",
        "samples": 20,
        "comparison": {"generated": {"frechet": 1.5, **scores}, "real": {"frechet": 0.5, **scores},
                       "noise": gap},
        "grain": {
            "images": 20, "chance": {"spectrum": 0.5, "differences": 0.6},
            "sets": {
                "generated": {"spectrum": 1.25, "differences": 0.75},
                "real": {"spectrum": 0.4, "differences": 0.5},
                "noise": {"spectrum": 9.5, "differences": 68.0},
            },
        },
        "counts": [
            {"name": name, "generated": 8, "held_out": 7, "train": 30, "matched": 6} for name in CLASSES
        ],
        "few": ["Too few pictures for a distance: 18 per set."],
        "recognition": [{"name": name, **counts} for name in CLASSES],
        "recognition_overall": {"generated": 0.5, "real": 0.6},
        "memorisation": {
            "generated_median": 0.1, "held_out_median": 0.1, "generated_least": 0.0,
            "held_out_least": 0.05, "generated_copies": 2, "held_out_copies": 0, "training": 90,
            "compared_at_side": 8, "share_below_threshold": 0.05, "threshold": 0.06,
            "generated_repeats": 0, "nearest": {"distance": [0.0, 0.01]},
        },
        "notes": ["Read beside the floor."],
    }  # fmt: skip


def arrays(rng):
    def draw(n, channels=1):
        return rng.integers(0, 256, (n, 8, 8, channels), dtype=np.uint8)

    cases = {}
    for kind in ("certain", "uncertain"):
        cases |= {
            f"{kind}_images": draw(5), f"{kind}_labels": np.array([0, 1, 2, 0, 1]),
            f"{kind}_predictions": np.array([0, 0, 2, 1, 1]), f"{kind}_uncertainty": rng.random(5),
            f"{kind}_names": np.array([f"{kind}/{i}{EVIL}.png" for i in range(5)]),
        }  # fmt: skip
    u = np.linspace(0, 1, 12)
    return {
        "samples": draw(9), "sample_labels": np.arange(9) % 3,
        "real": draw(6), "real_labels": np.arange(6) % 2,
        "generate_image": draw(12), "generate_label": draw(12, 3), "generate_u": u,
        "classify_image": draw(12), "classify_label": draw(12, 3), "classify_u": u[::-1],
        "classify_true": np.array(1), "classify_predicted": np.array(0),
        "generate_class": np.array(2), "nearest_names": np.array(["a/7.png", "b/8.png"]),
        "nearest_generated": draw(2), "nearest_training": draw(2), **cases,
    }  # fmt: skip


def change(path, **changes):
    """Writes these blocks into the evaluation of a workdir; None takes one away."""
    file = path / "evaluation.json"
    content = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
    return path


def make_workdir(path, name="breastmnist"):
    rng = np.random.default_rng(0)
    path.mkdir(parents=True, exist_ok=True)
    data = {"name": name, "classes": CLASSES, "source": "https://zenodo.org/records/1", "flips": []}
    block, curves = classification(rng)
    splits = {
        "train": (np.arange(90) % 3, [f"s{i // 3}" for i in range(90)]),
        "test": ([0, 1], None),
    }
    evaluation = {
        "split": "test", "family": "first", "sections": ["classification", "generation", "paths"],
        "words": {"distance": "distance", "draw": "noise draw"},
        "data": data, "settings": {"draws": 2},
        "classification": block, "generation": generation(),
        "counts": count_splits({k: (np.asarray(v), g) for k, (v, g) in splits.items()}, CLASSES),
        "run": {
            "parameters": {"trained": 1234567, "frozen": 0}, "command": "python -m experiments.evaluate",
            "created": "2026-01-02T03:04:05+00:00", "packages": {"jax": "0.10.2", "numpy": "2.4.6"},
        },
    }  # fmt: skip
    (path / "evaluation.json").write_text(json.dumps(evaluation))
    (path / "config.json").write_text(json.dumps({"train": {"steps": 10, "note": EVIL}}))
    (path / "manifest.json").write_text(json.dumps({"git": None, "packages": {"jax": "0.10.2"}}))
    row = {"images_per_second": 50.0, "step_ms": 2000.0}
    rows = [{"step": s, "loss": 1 / s, **row} for s in range(1, 60)]
    rows.append({"step": 50, "val_accuracy": 0.75, "val_auc": None, f"val_{EVIL}": 0.5})
    (path / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    np.savez(path / "evaluation.npz", **arrays(rng), **curves)
    return path


def posteriors(rng, n=40, draws=1):
    labels = rng.integers(0, 3, n)
    logits = 200 * (np.eye(3)[labels] + rng.normal(size=(draws, n, 3)))
    return labels, logits - logits.max(axis=-1, keepdims=True)


def make_likelihoods(path, draws=1, name="breastmnist"):
    rng = np.random.default_rng(0)
    make_workdir(path)  # The other files, and an evaluation that is written over.
    labels, logits = posteriors(rng, draws=draws)
    powers = np.exp(logits / 200)
    bits = {
        "train": rng.normal(3, 0.2, 90), "test": rng.normal(3, 0.2, 40),
        EVIL: rng.normal(2, 0.2, 30), "noise": rng.normal(8, 0.01, 20),
    }  # fmt: skip
    scaling = fit_scaling(labels, logits, ratios=True)
    before, after = log_softmax(logits.mean(0)), scaling.apply(logits.mean(0))
    calibration = evaluate_scaling(labels, before, after, scaling)
    likelihood = evaluate_likelihood(bits, "test", "train", [EVIL, "noise"])
    evaluation = {
        "split": "test", "family": "second", "settings": {"draws": draws},
        "sections": [
            *("calibration", "abstain", "classification", "generation"),
            *("likelihood", "explanation", "temperatures"),
        ],
        "words": {"distance": "negative log-posterior", "draw": "dequantisation draw"},
        "data": {"name": name, "classes": CLASSES},
        "classification": evaluate_classifier(
            labels, -logits, powers / powers.sum(-1, keepdims=True),
            {"distance": -logits.mean(0).max(1), "evidence": rng.random(40)}, CLASSES,
            resamples=20, conventions=LIKELIHOOD_CONVENTIONS,
        ),
        "calibration": calibration,
        "abstain": {"coverage": [0.5, 1.0], "distance": [0.25, 1.5], "evidence": [100.0, 200.0]},
        "likelihood": {**likelihood, "dimensions": 784},
        "generation": generation(),
    }  # fmt: skip
    (path / "evaluation.json").write_text(json.dumps(evaluation))
    maps = rng.normal(size=(2, 8, 8))
    kept = {k: v for k, v in arrays(rng).items() if not k.startswith(("generate_", "classify_"))}
    np.savez(
        path / "evaluation.npz",
        **{f"bits_{i}": values.astype(np.float32) for i, values in enumerate(bits.values())},
        explain_images=rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8),
        explain_map=maps - 30, explain_contrast=maps,
        explain_labels=np.array([0, 1]), explain_predictions=np.array([0, 2]),
        explain_against=np.array([1, 1]), explain_log_prob=(maps - 30).sum((1, 2)),
        explain_ratio=np.array([1234.56, 0.5]), temperature_values=np.array([0.0, 0.7, 1.0]),
        temperature_samples=rng.integers(0, 256, (3, 3, 4, 8, 8, 1), dtype=np.uint8),
        **kept,
    )  # fmt: skip
    return path
