"""A workdir keeps its configuration, and belongs to one run."""

import dataclasses
import json
import shutil
import warnings

import pytest

from msflow_jax import workdir
from msflow_jax.config import default_config
from msflow_jax.data import Info
from msflow_jax.storage.atomic import write_atomically
from msflow_jax.symmetric.recipes import cpu

INFO = Info(
    name="folder", classes=("ill", "well"), channels=1, side=8, task="binary-class",
    licence="unknown", md5="0" * 32, source="somewhere", flips=("horizontal",),
)  # fmt: skip


def create(path, config, info=INFO):
    """A workdir with something in it that is worth keeping."""
    workdir.create(path, config, info)
    step = path / "checkpoints" / "4"
    (step / "ema").mkdir(parents=True, exist_ok=True)
    workdir.write_json(
        step / "facts" / "metadata", {"made": workdir.made_with(path), "metrics": {}}
    )


@pytest.mark.parametrize("config", [default_config(), cpu(default_config())])
def test_round_trip(tmp_path, config):
    create(tmp_path / "deep" / "w", config)
    back, info = workdir.read(tmp_path / "deep" / "w")
    assert back.to_dict() == config.to_dict()
    assert isinstance(back.model.net.multipliers, tuple)
    assert info == INFO
    assert back.is_locked
    workdir.create(tmp_path / "deep" / "w", back, info)  # goes on


def test_a_fresh_run_sets_evaluations_of_an_earlier_one_aside(tmp_path):
    create(tmp_path, default_config())
    file = tmp_path / "evaluations" / "test" / "evaluation.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        workdir.create(tmp_path, default_config(), INFO)  # goes on
    assert file.is_file()
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.warns(UserWarning, match="are of checkpoints that are gone.*earlier-run,"):
        workdir.create(tmp_path, default_config(), INFO)
    assert (tmp_path / "earlier-run" / "evaluations" / "test" / "evaluation.json").is_file()
    assert not file.exists()


def test_manifest(tmp_path):
    workdir.create(tmp_path, default_config(), INFO, {"converted_from": {"file": "a.pt"}})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert {"msflow_jax", "created", "python", "packages", "device", "seed"} <= set(manifest)
    assert manifest["data"]["md5"] == INFO.md5
    assert manifest["converted_from"] == {"file": "a.pt"}


@pytest.mark.parametrize(
    "part, changes, message",
    [
        ("model", {"net": {"width": 8}}, "model.net.width=64, not 8.*another --workdir"),
        ("model", {"net": {"multipliers": (1, 2)}}, r"model.net.multipliers=\(1, 2, 2, 2\)"),
        ("train", {"learning_rate": 1.0}, "train.learning_rate=0.0004, not 1.0"),
        ("data", {"seed": 1}, "data.seed=0, not 1"),
    ],
)
def test_another_run_is_refused(tmp_path, part, changes, message):
    create(tmp_path, default_config())
    before = (tmp_path / "config.json").read_text()
    other = default_config()
    other[part].update(changes)
    with pytest.raises(ValueError, match=message):
        workdir.create(tmp_path, other, INFO)
    assert (tmp_path / "config.json").read_text() == before


def test_what_may_change_between_sessions(tmp_path):
    create(tmp_path, default_config())
    moved = default_config()
    moved.data.root = "elsewhere"
    moved.train.update({"log_every": 7, "keep": 5})
    moved.sample.batch = 3
    workdir.create(tmp_path, moved, INFO)
    assert workdir.read(tmp_path)[0].data.root == "elsewhere"


def test_other_data_are_refused(tmp_path):
    create(tmp_path, default_config())
    with pytest.raises(ValueError, match=f"{'0' * 32}, these have {'1' * 32}"):
        workdir.create(tmp_path, default_config(), dataclasses.replace(INFO, md5="1" * 32))
    with pytest.raises(ValueError, match="the classes ill, well, these have well, ill"):
        workdir.create(
            tmp_path, default_config(), dataclasses.replace(INFO, classes=("well", "ill"))
        )


def test_the_facts_of_the_data_stay_under_a_checkpoint(tmp_path):
    create(tmp_path, default_config())
    identity = {"names": "1", "contents": "2", "labels": "3", "splits": "4"}
    now = dataclasses.replace(INFO, identity=identity, source="elsewhere", licence="another")
    workdir.create(tmp_path, default_config(), now)
    assert workdir.read(tmp_path)[1] == INFO


def test_a_run_of_before_reads_its_data_as_it_did(tmp_path):
    """Copies and paths outside are refused since there are keys for them."""
    workdir.create(tmp_path, default_config(), INFO)
    stored = json.loads((tmp_path / "config.json").read_text())
    del stored["data"]["duplicates"], stored["data"]["outside"]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    old = workdir.read(tmp_path)[0].data
    assert (old.duplicates, old.outside) == ("keep", True)


def test_a_run_without_a_checkpoint_is_replaced(tmp_path):
    """So that a first try with a batch that no device divides does not block its workdir."""
    workdir.create(tmp_path, default_config(), INFO)
    other = default_config()
    other.train.batch = 7
    workdir.create(tmp_path, other, INFO)
    assert workdir.read(tmp_path)[0].train.batch == 7


@pytest.mark.parametrize("name", ["config.json", "manifest.json"])
def test_no_workdir(tmp_path, name):
    (tmp_path / "runs/mine").mkdir(parents=True)
    (tmp_path / "runs/mine/config.json").write_text("{}")
    for wrong in ("runs/mien", "runs"):
        with pytest.raises(FileNotFoundError, match=r"Train first, or is .*runs/mine meant\?"):
            workdir.read(tmp_path / wrong)
    with pytest.raises(FileNotFoundError, match=r"is no workdir: config.json is missing"):
        workdir.read(tmp_path / "nowhere")
    workdir.create(tmp_path, default_config(), INFO)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is missing"):
        workdir.read(tmp_path)


@pytest.mark.parametrize(
    "file, text, message",
    [
        ("config.json", "", "damaged"),
        ("config.json", '{"model": {"net": {"wide": 3}}}', "unknown key model.net.wide"),
        ("config.json", '{"model": {"net": {"width": "x"}}}', "damaged.*restore it from a copy"),
        ("config.json", '{"model": 3}', "damaged"),
        ("config.json", "[]", "damaged"),
        ("manifest.json", '{"data": {"name": "x"}}', "lacks the fields"),
        ("manifest.json", "{}", "damaged"),
    ],
)
def test_damage_is_named(tmp_path, file, text, message):
    workdir.create(tmp_path, default_config(), INFO)
    (tmp_path / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        workdir.read(tmp_path)


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    workdir.write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        workdir.write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}


def test_a_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        write_atomically(tmp_path / "taken", b"content")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_a_workdir_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    workdir.create(tmp_path / "runs" / "w", default_config(), INFO)
    with pytest.raises(FileNotFoundError, match=rf"no checkpoint in {tmp_path}/runs/w"):
        workdir.open_workdir("~/runs/w")
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path}/runs/v is no workdir"):
        workdir.open_workdir("~/runs/v")
