"""Folders of converted weights from elsewhere: the network that was written, or one line."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from msflow_jax.evaluation.supplied import SuppliedNetwork, load_features, save_features
from msflow_jax.latent import autoencoder
from msflow_jax.nets.patches import PatchAutoencoder
from msflow_jax.nets.resnet import ResNet
from msflow_jax.nets.vae import AutoencoderKL
from msflow_jax.storage import weights
from msflow_jax.storage.jsons import digest_of
from tests.fuzzing import fuzz

PARAMS = {"mean": np.arange(4, dtype=np.float32), "basis": np.eye(4, 2, dtype=np.float32)}
NET = ResNet((1, 1, 1, 1), False, 2)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    patches = autoencoder.Autoencoder(PatchAutoencoder(1, 2, 2), 0.5, 0.25)
    autoencoder.save(root / "patches", patches, PARAMS, {"licence": "MIT"})
    tree = jax.eval_shape(NET.init, jax.random.key(0), jnp.ones((1, 32, 32, 3)))["params"]
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), tree)
    supplied = SuppliedNetwork("Rad", NET, (0.5,) * 3, (0.25,) * 3)
    save_features(root / "features", supplied, params, {})
    return root


def leaves(tree, path=()):
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))
        yield (*path, key)


def put(tree, path, value):
    for key in path[:-1]:
        tree = tree[key]
    tree[path[-1]] = value


STRANGE = [None, True, -1, 0, 1 << 40, 2.5, float("nan"), float("inf"), "1", "os", [], [1] * 99, {}]


def foreign(path, at, value):
    """Writes facts that somebody else made, digest and all; an endless number is none of JSON's."""
    facts = json.loads(path.read_text())
    facts.pop(weights.DIGEST)
    put(facts, at, value)
    path.write_text(json.dumps({**facts, weights.DIGEST: digest_of(facts)}))


@pytest.mark.parametrize(
    "name, file, load",
    [
        ("patches", "autoencoder.json", lambda folder: repr(autoencoder.load(folder)[0])),
        ("features", "features.json", lambda folder: load_features(folder)[0]),
    ],
)
def test_every_value_is_checked_and_named(name, file, load, folders, tmp_path):
    whole = json.loads((folders / name / file).read_text())
    before = load(folders / name)
    for at in leaves({k: v for k, v in whole.items() if k not in (weights.DIGEST, "origin")}):
        for value in STRANGE:
            (tmp_path / file).write_text((folders / name / file).read_text())
            foreign(tmp_path / file, at, value)
            taken = (at == ("name",) and isinstance(value, str)) or at[-1] in ("mean", 0, 1, 2)
            taken = taken or (at[-1] in ("scale", "shift") and value in (0, 2.5, -1))
            taken = taken or (at[-1] in ("bottleneck", "stride_first") and value is True)
            try:
                load(tmp_path)
            except FileNotFoundError:
                assert taken  # all values are fine, and there are no weights here
            except ValueError as error:
                words = str(error)
                key = str(at[-2] if isinstance(at[-1], int) else at[-1])
                assert file in words and (key in words or "groups" in words), (at, value, words)
    for at in (("network", "size"), ("extra",)):
        (tmp_path / file).write_text((folders / name / file).read_text())
        foreign(tmp_path / file, at, 1)
        with pytest.raises(ValueError, match=rf"{file} is damaged \({'.'.join(at)} is unknown\)"):
            load(tmp_path)
    assert load(folders / name) == before


def test_every_edit_of_a_character_is_refused_or_harmless(folders, tmp_path):
    text = (folders / "patches" / "autoencoder.json").read_text()
    for i, old in enumerate(text):
        for new in {"7", "x", '"', ""} - {old}:
            (tmp_path / "autoencoder.json").write_text(text[:i] + new + text[i + 1 :])
            try:
                facts = weights.read_facts(tmp_path, "autoencoder.json", "autoencoder", "a tool")
                assert weights.DIGEST not in facts
                whole = json.loads(text)
                if {**facts, weights.DIGEST: whole[weights.DIGEST]} != whole:
                    # The name of the digest itself was changed: an unknown key.
                    with pytest.raises(ValueError, match="is (unknown|missing)"):
                        autoencoder.load(tmp_path)
            except ValueError as error:
                assert "autoencoder.json is damaged" in str(error)


def test_settings_that_no_shape_shows_belong_to_the_digest(folders, tmp_path):
    shutil.copytree(folders / "patches", tmp_path / "p")
    path = tmp_path / "p" / "autoencoder.json"
    path.write_text(path.read_text().replace('"scale": 0.5', '"scale": 0.6'))
    with pytest.raises(ValueError, match=r"autoencoder\.json is damaged \(changed since"):
        autoencoder.load(tmp_path / "p")
    facts = json.loads(path.read_text())
    del facts[weights.DIGEST]  # a folder of before
    path.write_text(json.dumps(facts))
    assert autoencoder.load(tmp_path / "p")[0].scale == 0.6


def test_a_network_of_other_shapes_than_the_weights(folders, tmp_path):
    shutil.copytree(folders / "patches", tmp_path / "p")
    foreign(tmp_path / "p" / "autoencoder.json", ("network", "latent"), 3)
    with pytest.raises(ValueError, match=r"autoencoder\.json is of another network .*basis"):
        autoencoder.load(tmp_path / "p")


def test_groups_that_do_not_divide(tmp_path):
    net = dataclasses.asdict(AutoencoderKL(widths=(8, 8), groups=3))
    network = {k: v for k, v in net.items() if k not in ("parent", "name")} | {"dtype": "float32"}
    facts = {"kind": "kl", "network": network, "scale": 1.0, "shift": 0, "origin": {}}
    (tmp_path / "autoencoder.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=r"autoencoder\.json is damaged .*8 channels .* 3 groups"):
        autoencoder.load(tmp_path)


class Watch:
    """Records which modules somebody asks for."""

    def __init__(self):
        self.asked = []

    def find_spec(self, name, path=None, target=None):
        self.asked.append(name)


def test_fuzzed_folders(folders, tmp_path, monkeypatch):
    """Bytes of any file changed, and names of modules planted in the metadata of the checkpoint."""
    before, params = autoencoder.load(folders / "patches")
    expected = autoencoder.fingerprint(before, params)
    files = sorted(
        p.relative_to(folders / "patches") for p in (folders / "patches").rglob("*") if p.is_file()
    )
    watch, work = Watch(), tmp_path / "work"
    monkeypatch.setattr(sys, "meta_path", [watch, *sys.meta_path])

    def check(file, edits, planted):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(folders / "patches", work)
        content = bytearray((work / file).read_bytes())
        for place, byte in edits:
            content[int(len(content) * place)] = byte
        if planted:
            text = bytes(content).replace(b"orbax.checkpoint", b"planted.payload")
            content = text.replace(b"np.ndarray", b"planted.Kind")
        (work / file).write_bytes(content)
        try:
            again = autoencoder.load(work)
            assert autoencoder.fingerprint(*again) == expected
        except (ValueError, FileNotFoundError) as error:
            assert str(work) in str(error)
        assert not [name for name in watch.asked if "planted" in name]

    edits = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3)
    assert fuzz(check, st.sampled_from(files), edits, st.booleans(), share=0.25) > 2
    assert Path(work).is_dir()
