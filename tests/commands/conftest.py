"""A folder of small pictures, a small configuration, a run of the train command on them, its service."""

import csv
import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CONFIG = """
from msflow_jax.config import default_config
from msflow_jax.nets.networks import network_settings


def get_config():
    config = default_config()
    config.data.name = "folder"
    config.model.code.scheme = "simplex"
    # A transformer of one layer: what compiles fastest.
    config.model.net = network_settings("dit")
    config.model.net.update({"patch": 4, "depth": 1, "width": 8, "head_channels": 8})
    config.train.update({"steps": 4, "batch": 8, "eval_every": 2, "log_every": 1})
    config.sample.batch = 8
    config.sample.classify.draws = 2
    config.sample.generate.update({"steps": 2, "per_class": 6})
    return config
"""
CLASSES = ("dark", "very bright")
LOCAL = "http://127.0.0.1:8000"  # of a service within this process


def evaluation(workdir: Path, name: str = "test") -> dict:
    """What an evaluation of a workdir holds."""
    return json.loads((workdir / "evaluations" / name / "evaluation.json").read_text())


def fill(root: Path, *, seed: int = 0, side: int = 8) -> Path:
    """train/, val/ and test/ with two classes that differ in brightness."""
    rng = np.random.default_rng(seed)
    for split, count in (("train", 12), ("val", 4), ("test", 6)):
        for k, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(rng.normal(70 + 100 * k, 20, (side, side)), 0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    return root


@pytest.fixture
def command(shell):
    """`command("classify", "--images=x")`: as from the shell, but within this process."""
    from importlib import import_module

    from msflow_jax.commands.common import run

    def call(name: str, *arguments: object):
        main = import_module(f"msflow_jax.commands.{name}").main
        return shell(lambda: run(main), name, *arguments)

    return call


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def config_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("configs") / "tiny.py"
    path.write_text(CONFIG)
    return path


@contextmanager
def quickly():
    """10 steps for the feature classifier."""
    from msflow_jax.evaluation import features

    original = features.train_feature_classifier

    def barely(*args, **kwargs):
        return original(*args, **{**kwargs, "steps": 10})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "train_feature_classifier", barely)
        yield


@contextmanager
def only(family, *names):
    """Evaluations of a family have these sections alone: each is compiled for itself."""
    every = type(family).sections

    def chosen(self, config, stage=""):
        return [section for section in every(self, config, stage) if section.name in names]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(family), "sections", chosen)
        yield


@pytest.fixture(autouse=True, scope="module")
def quick():
    with quickly():
        yield


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the run that may be changed."""
    return shutil.copytree(trained, tmp_path / "copy")


@pytest.fixture
def seeded(monkeypatch):
    """Runs are opened as if they were configured with ``sample.seed=5``."""
    from msflow_jax import workdir

    opened = workdir.open_workdir

    def reseeded(*args, **kwargs):
        flow = opened(*args, **kwargs)
        flow.config.sample.seed = 5
        return flow

    monkeypatch.setattr(workdir, "open_workdir", reseeded)


@pytest.fixture(scope="session")
def trained(pictures, config_file, tmp_path_factory):
    """Workdir of a whole run: trained, evaluated, reported. Not to be changed."""
    from msflow_jax.commands.train import main

    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    with quickly():
        main([f"--config={config_file}", f"--workdir={workdir}", f"--config.data.root={pictures}"])
    return workdir


@pytest.fixture(scope="session")
def service(trained):
    """What is served of the run, with its training images."""
    from msflow_jax.serving.near import Nearest
    from msflow_jax.serving.service import Service
    from msflow_jax.workdir import open_workdir

    flow = open_workdir(trained)
    return Service(flow, Nearest.of(flow))


@pytest.fixture(scope="module")
def client(service):
    """Of the service within this process."""
    from starlette.testclient import TestClient

    from msflow_jax.serving.app import Limits, build_app

    with TestClient(build_app(service, Limits(mebibytes=1)), LOCAL) as found:
        yield found


@pytest.fixture(scope="module")
def files(pictures):
    """Pictures to be sent."""
    return sorted((pictures / "test").rglob("*.png"))


def send(client, file, endpoint="classify", **given):
    """Asks a service about one picture."""
    return client.post(
        f"/{endpoint}", params={"name": file.name, **given}, content=file.read_bytes()
    )


def read(path):
    """Rows of a table as CSV."""
    with path.open() as file:
        return list(csv.DictReader(file))
