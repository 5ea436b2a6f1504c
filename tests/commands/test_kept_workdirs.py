"""Workdirs of format 1, made before the families answered for themselves: all is as it was.

`fixtures/workdirs` holds one of each kind, trained for 24 steps on head phantoms, with what `evaluate`,
`classify` and `explain` said of it then.
"""

import csv
import json
import os
import shutil
from contextlib import contextmanager

import jax
import numpy as np
import pytest
from jax._src import compiler

import msflow_jax
from msflow_jax import data, workdir
from msflow_jax.commands.classify import classify
from msflow_jax.commands.evaluate import evaluate
from msflow_jax.commands.explain import explain
from msflow_jax.commands.train import train
from msflow_jax.inference import calibration
from msflow_jax.streams import sample_noise
from msflow_jax.training.records import read_records
from tests.commands.conftest import evaluation, quickly
from tests.kept import NAMES, unpack

CLASSIFY = ("pixel", "latent", "coupling")
# The same processor gives the same digits by the same compiler; of two processors with one compiler
# figures were seen to differ by up to 5e-5 of themselves.
SAME = jax.__version_info__[:2] == (0, 10)
ROUNDED = 1e-4
CLOSE = dict(rtol=ROUNDED, atol=ROUNDED)
REJECTED = "classification.rejection."  # of uncertainties that are level the last digit goes first
# What the classifier sees that the evaluation trains: training multiplies how a processor rounds, up
# to 4 % of a distance and three of 16 images between two processors.
TRAINED = ("generation.comparison.", "generation.recognition")
DISTANCE, SHARE = dict(rtol=0.1, atol=1e-3), dict(rtol=0, atol=4 / 16)


@contextmanager
def as_made(name):
    """All optimisations, and not the flags of `tests/conftest.py`, for the one whose figures need it.

    That is the coupling flow; the others' come out the same without. It alone trains the classifier of
    its evaluation for as long as it was trained then: both take most of the time.
    """
    if name != "coupling":
        with quickly():
            yield
        return
    given = compiler.get_compile_options

    def as_users_do(*args, **kwargs):
        options = given(*args, **kwargs)
        options.env_option_overrides += [("xla_cpu_use_fusion_emitters", True)]
        return options

    jax.config.update("jax_disable_most_optimizations", False)
    with pytest.MonkeyPatch.context() as patch:
        if "xla_cpu_use_fusion_emitters" in os.environ.get("XLA_FLAGS", ""):
            patch.setattr(compiler, "get_compile_options", as_users_do)
        yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(autouse=True, scope="module")
def quick():
    """How long the classifier of an evaluation is trained :func:`as_made` says."""


@pytest.fixture(autouse=True)
def noise_by_place(monkeypatch):
    """As the figures were made: noise by an image's place, not by its content, and all draws apart."""

    def apart(key, index, shape, draw=0):
        key = key if isinstance(draw, int) else jax.random.fold_in(key, draw)
        return sample_noise(key, index, shape)

    monkeypatch.setattr("msflow_jax.symmetric.paths.label_noise", apart)
    monkeypatch.setattr("msflow_jax.symmetric.model.SymmetricFlow.opposite_draws", False)
    for module in ("symmetric.model", "symmetric.sections", "coupling.density"):
        monkeypatch.setattr(f"msflow_jax.{module}.content_index", lambda x: np.arange(len(x)))


@pytest.fixture(autouse=True)
def every_drawn_image_once(monkeypatch):
    """As the figures were made: memorisation of drawn images in the mix that they were drawn in."""

    def alike(labels, others):
        return np.ones(len(labels)), np.ones(len(others), bool)

    monkeypatch.setattr("msflow_jax.evaluation.memorisation.in_mix_of", alike)


@pytest.fixture(autouse=True)
def every_image_once(monkeypatch):
    """As the figures were made: calibration in the split's own mix, beside a uniform prior too."""
    monkeypatch.setattr("msflow_jax.inference.evaluation.image_weights", lambda flow, labels: None)


@pytest.fixture(autouse=True)
def nearest_levels(monkeypatch):
    """As the figures were made: what a coupling flow draws rounded to the nearest of 256 points."""
    monkeypatch.setattr("msflow_jax.coupling.bijections.quantise", lambda x: (x + 1) * 127.5)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Folder of a fresh copy of a kept workdir, by name."""
    root = tmp_path_factory.mktemp("kept")

    return {name: unpack(name, root) for name in NAMES}


def images(path, folder):
    """The first twelve test images of a workdir's data, as the figures were made of."""
    config, _ = workdir.read(path)
    np.savez(folder / "x.npz", images=data.load(config.data).test.images[:12])
    return str(folder / "x.npz")


def leaves(tree, path=""):
    """Dotted paths and plain values."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def assert_same_rows(found, expected):
    with expected.open() as file:
        then = list(csv.DictReader(file))
    assert len(found) == len(then)
    for now, row in zip(found, then, strict=True):
        for name, value in row.items():
            if name == "file":  # which is called as its image since
                continue
            if name == "uncertainty_evidence":  # one quantity stands once
                name, value = "log_likelihood", f"{-float(value)}"
            here = str(now["prediction" if name == "answer" else name])
            try:
                assert float(here) == pytest.approx(float(value), rel=1e-4, abs=ROUNDED), name
            except ValueError:
                assert here == value, name


@pytest.mark.parametrize("name", CLASSIFY)
def test_the_same_predictions(kept, name, tmp_path):
    given = images(kept[name], tmp_path)
    with as_made(name):
        rows = classify(kept[name], given, tmp_path / "p.csv")
    assert_same_rows(rows, kept[name] / "predictions.csv")


def test_the_same_maps(kept, tmp_path):
    path = kept["coupling"]
    given = images(path, tmp_path)
    rows = explain(path, given, tmp_path / "out")
    # Of the draw that maps are of; then it was of all draws, as in predictions.csv.
    one_draw = classify(path, given, tmp_path / "p.csv", draws=1)
    said = [float(row["log_likelihood"]) for row in one_draw]
    with (path / "explained.csv").open() as file:
        density = [float(row["log_likelihood"]) for row in csv.DictReader(file)]
    for row, nats, then in zip(rows, said, density, strict=True):
        assert float(row["log_likelihood"]) == pytest.approx(nats, rel=1e-4)
        # Then of the density in [-1, 1], now of the 8-bit image: each of the 256 entries, and
        # what variational dequantisation adds.
        expected = then + 256 * np.log(2 / 256)
        assert float(row["log_likelihood_of_class"]) == pytest.approx(expected, abs=2)
        row["log_likelihood"] = str(then)
    assert_same_rows(rows, path / "explained.csv")


@pytest.mark.parametrize("name", [*CLASSIFY, "segment"])
def test_the_same_evaluation(kept, name, tmp_path, monkeypatch):
    # Thresholds were of every twentieth then.
    monkeypatch.setattr(calibration, "_COVERAGES", np.linspace(0.05, 1, 20))
    path = shutil.copytree(kept[name], tmp_path / name)
    then = dict(leaves(json.loads((path / "evaluation.json").read_text())))
    config = json.loads((path / "config.json").read_text())
    config["sample"]["batch"] = 1024  # all at once: the noise by place starts anew in each batch
    if name not in ("coupling", "segment"):
        config["sample"]["classify"]["calibration"] = "none"  # there was none then
    (path / "config.json").write_text(json.dumps(config))
    with as_made(name):
        evaluate(path)
    now = dict(leaves(evaluation(path, then.get("split", "test"))))
    for key, value in then.items():
        if key.startswith(("settings.", "classification.intervals.")):
            # Settings of other families are gone; intervals are of subjects now, where they are known.
            continue
        if (name != "coupling" or not SAME) and key.startswith(TRAINED):
            continue
        if isinstance(value, float):
            by_classifier = DISTANCE if key.endswith("frechet") else SHARE
            loose = key.startswith(TRAINED) or (not SAME and key.startswith(REJECTED))
            allowed = by_classifier if loose else CLOSE
            np.testing.assert_allclose(now[key], value, err_msg=key, **allowed)
        elif not isinstance(value, str):
            assert now[key] == value, key
    assert (path / "report" / "index.html").stat().st_size > 10_000


def test_classify_and_explain_agree(kept, tmp_path):
    """Under a prior that only the evaluation knows of."""
    path = shutil.copytree(kept["coupling"], tmp_path / "w")
    config = json.loads((path / "config.json").read_text())
    config["sample"]["classify"]["prior"] = "natural"
    (path / "config.json").write_text(json.dumps(config))
    given = images(path, tmp_path)
    said = [row["class"] for row in classify(path, given, tmp_path / "p.csv")]
    assert said == [row["prediction"] for row in explain(path, given, tmp_path / "out")]
    assert msflow_jax.open(path).calibration.settings["prior"] == "uniform"


def test_opening_reads_and_does_nothing_else(kept, monkeypatch):
    """No parameters are drawn, nothing is fitted, measured or encoded."""

    def never(*args, **kwargs):
        raise AssertionError("opening a workdir made something")

    for target in (
        "msflow_jax.nets.init._draw_leaf",
        "msflow_jax.symmetric.parts.encode_pictures",
        "msflow_jax.latent.kept.fit_patches",
        "msflow_jax.symmetric.parts._measure_std",
        "msflow_jax.coupling.parts.some",
        "msflow_jax.data.load",
    ):
        monkeypatch.setattr(target, never)
    for name in kept:
        assert msflow_jax.open(kept[name]).step == 24


def test_a_run_goes_on(kept, tmp_path):
    """From its state, with the moments of the optimiser: the run is the same run."""
    path = shutil.copytree(kept["segment"], tmp_path / "w")
    config, _ = workdir.read(path)
    train(config, path)
    assert read_records(path)[-1]["step"] == 24  # it was finished
    stored = json.loads((path / "config.json").read_text())
    stored["train"]["steps"] = 26
    (path / "config.json").write_text(json.dumps(stored))
    config, _ = workdir.read(path)
    train(config, path)
    assert [r["step"] for r in read_records(path) if "loss" in r][-3:] == [24, 25, 26]
