"""push and pull against a hub of our own: the same model, nothing private, nothing that is code."""

import json
import sys
import warnings

import numpy as np
import pytest

import msflow_jax
from msflow_jax.inference.evaluated import open_elsewhere, run_splits
from msflow_jax.storage import hashes
from msflow_jax.storage.hub import upload
from tests.commands.hub_server import serving

REPO = "someone/tiny"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    for name in ("HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving() as (found, address):
        monkeypatch.setenv("HF_ENDPOINT", address)
        # Known to the library by the endpoint of its import, which may have been in another test.
        known = frozenset({"huggingface.co", "127.0.0.1"})
        monkeypatch.setattr("huggingface_hub.constants.HF_URL_HOSTS", known)
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        yield found


def push(command, workdir, *more):
    return command("push", f"--workdir={workdir}", f"--repo={REPO}", *more)


def test_a_pulled_workdir_classifies_alike(command, hub, trained, pictures, tmp_path):
    done = push(command, trained, "--license=mit", "--private")
    assert done.status == 0, done.err
    assert "features (vectors) of 24 training images go too" in done.err
    _, files = hub.files(REPO)
    assert hub.repos[REPO]["private"]
    # The checkpoints that are used, without what training goes on from; no names, images or places.
    for name in ("splits.csv", "predictions.csv", "evaluation.npz", "/state/", "report", "lock"):
        assert not any(name in file for file in files)
    everything = b"\n".join(files.values())
    for secret in (str(pictures), str(trained), "0.png", "train/dark", "identity", "conftest"):
        assert secret.encode() not in everything, secret
    assert command("pull", REPO, f"--output={tmp_path / 'pulled'}").status == 0
    there, here = msflow_jax.open(trained), msflow_jax.open(tmp_path / "pulled")
    assert not list((tmp_path / "pulled").glob(".*")) and (tmp_path / "pulled/README.md").is_file()
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    a, b = there.classify(images), here.classify(images)
    assert np.array_equal(a.distances, b.distances)
    assert np.array_equal(a.probabilities, b.probabilities)
    assert a.uncertainty.keys() == b.uncertainty.keys() and "mahalanobis" in a.uncertainty
    assert all(np.array_equal(a.uncertainty[name], b.uncertainty[name]) for name in a.uncertainty)
    assert here.calibration.to_dict() == there.calibration.to_dict()
    assert "Membership inference: AUROC" in (tmp_path / "pulled/README.md").read_text()
    again = command("pull", REPO, f"--output={tmp_path / 'pulled'}")
    assert again.status == 2 and "not empty" in again.err


def test_a_pulled_workdir_says_that_it_cannot_check_the_data(command, trained, pictures, tmp_path):
    assert push(command, trained, f"--dry-run={tmp_path / 'out'}").status == 0
    flow = msflow_jax.open(tmp_path / "out")
    with pytest.warns(UserWarning, match="does not know the names, labels and splits of its data"):
        run_splits(flow, str(pictures))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run_splits(msflow_jax.open(trained), str(pictures))
    with pytest.warns(UserWarning, match="has no splits.csv, as after msflow pull"):
        open_elsewhere(flow, "site", str(pictures / "test"), "", False, ())


def test_a_second_push_replaces_the_first_alone(command, hub, trained):
    assert push(command, trained).status == 0
    _, files = hub.files(REPO)
    hub.commit(REPO, "main", {**files, "photo.jpg": b"by hand"})
    with pytest.warns(UserWarning, match="of an earlier push stays in the history"):
        done = push(command, trained, "--no-features")
    assert done.status == 0 and "features" not in done.err and "is public: everybody" in done.out
    _, now = hub.files(REPO)
    assert now["photo.jpg"] == b"by hand"
    assert not any("features-" in name for name in now) and any("features-" in n for n in files)
    assert push(command, trained, "--revision=second").status == 0
    assert set(hub.repos[REPO]["branches"]) == {"main", "second"}


def test_another_model_in_its_place_is_named(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils.disable_progress_bars", lambda: None)
    for turn, text in enumerate(("{}", "{}", '{"model": 1}')):
        folder = tmp_path / str(turn)
        folder.mkdir()
        (folder / "config.json").write_text(text)
        (folder / "other.txt").write_text(str(turn))
        hashes.write_hashes(folder)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            upload(folder, REPO, private=False, revision="", message="x")
        found = [str(one.message) for one in said if "another configuration" in str(one.message)]
        assert len(found) == (turn == 2), found


def test_what_is_not_ours_stays(command, hub, trained, monkeypatch):
    hub.create(REPO, files={"model.safetensors": b"another's"})
    before = hub.files(REPO)
    done = push(command, trained)
    assert done.status == 2 and "did not write (model.safetensors)" in done.err
    assert done.err.strip().count("\n") == 1  # a warning, and the error
    hub.create(REPO)
    assert "public" in push(command, trained, "--private").err
    assert "OWNER/NAME" in command("push", f"--workdir={trained}", "--repo=tiny").err
    assert "apache-2.0" in push(command, trained, "--license=Apache License").err
    monkeypatch.setenv("HF_TOKEN", "another")
    refused = push(command, trained)
    assert refused.status == 2 and REPO in refused.err and "401" in refused.err
    assert before[1] == {"model.safetensors": b"another's"}


def test_the_folder_alone(command, trained, tmp_path):
    done = push(command, trained, f"--dry-run={tmp_path / 'dry'}", "--no-features", "--with-report")
    assert done.status == 0 and "nothing was sent" in done.out and "shows images" in done.err
    flow = msflow_jax.open(tmp_path / "dry")
    assert flow.calibration.known and flow.calibration.familiar is None
    assert "mahalanobis" not in flow.calibration.thresholds
    assert (tmp_path / "dry/report/index.html").is_file()
    assert push(command, trained, f"--dry-run={tmp_path / 'dry'}").status == 2


@pytest.fixture(scope="module")
def whole(trained, tmp_path_factory):
    """The files of a push."""
    from msflow_jax.commands.push import main

    folder = tmp_path_factory.mktemp("dry") / "run"
    main([f"--workdir={trained}", f"--repo={REPO}", f"--dry-run={folder}"])
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", b"{}", "config.json is damaged"),
        ("msflow.json", None, "it holds no model that `msflow push` wrote"),
        ("manifest.json", None, "manifest.json of msflow.json is missing"),
        ("extra/model.py", b"print()", "could be code"),
        ("../outside.json", b"{}", "no file of a workdir"),
        (".hidden/x.json", b"{}", "no file of a workdir"),
        ("weights.json", b"\x80\x04\x95K\x01.", "is a Python pickle"),
        ("run", b"#!/bin/sh\n", "is a script"),
    ],
)
def test_what_is_damaged_or_could_be_code_is_refused(
    command, hub, whole, tmp_path, name, content, says
):
    """Files that are not listed are never fetched; these are, as an attacker would."""
    import hashlib

    files = dict(whole)
    listed = json.loads(files["msflow.json"])
    if content is None:
        del files[name]
    else:
        if name not in files:
            listed["files"][name] = hashlib.sha256(content).hexdigest()
        files[name] = content
    if "msflow.json" in files:
        files["msflow.json"] = json.dumps(listed).encode()
    hub.create(REPO, files=files)
    done = command("pull", REPO, f"--output={tmp_path / 'out'}")
    assert done.status == 2 and says in done.err and REPO in done.err, done.err
    assert done.err.count("\n") == 1 and str(tmp_path) not in done.err
    assert list(tmp_path.iterdir()) == []


def test_the_report_and_what_is_large_come_only_if_asked(command, hub, trained, tmp_path):
    assert push(command, trained, "--with-report").status == 0
    few = command("pull", REPO, f"--output={tmp_path / 'few'}")
    assert few.status == 0 and not (tmp_path / "few" / "report").exists()
    whole = command("pull", REPO, f"--output={tmp_path / 'whole'}", "--with-report")
    assert whole.status == 0 and (tmp_path / "whole" / "report" / "index.html").is_file()
    for most, says in (("0.000001", "--max-gib allows more"), ("nan", "--max-gib must be")):
        done = command("pull", REPO, f"--output={tmp_path / 'out'}", f"--max-gib={most}")
        assert done.status == 2 and says in done.err, done.err
        assert not (tmp_path / "out").exists()


def test_what_is_not_there(command, hub, tmp_path, monkeypatch):
    output = f"--output={tmp_path / 'out'}"
    done = command("pull", "nobody/nothing", output)
    assert done.status == 2 and "404" in done.err and done.err.count("\n") == 1
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = command("pull", REPO, output)
    assert done.status == 2 and "127.0.0.1:9" in done.err and done.err.count("\n") == 1
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "msflow_jax[hub]" in command("pull", REPO, output).err
