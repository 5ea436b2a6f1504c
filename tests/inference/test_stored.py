"""config.json and manifest.json are tied to the checkpoints: an edit is refused, or changes nothing."""

import copy
import json
import shutil
import warnings

import pytest
from hypothesis import strategies as st

from msflow_jax import workdir
from msflow_jax.config import default_config
from msflow_jax.data import Info
from msflow_jax.inference.calibration import Calibration, read_calibration
from msflow_jax.inference.stored import check_made
from msflow_jax.storage import evaluations, facts
from tests.fuzzing import fuzz
from tests.inference.test_stored_thresholds import learned

INFO = Info(
    name="folder", classes=("ill", "well", "worse"), channels=1, side=8, task="multi-class",
    licence="unknown", md5="0" * 32, source="somewhere", flips=("horizontal",), counts=(5, 6, 7),
    map_classes=("a", "b"),
)  # fmt: skip
# What a run may say otherwise of itself: how and where it was made. In config.json see facts.HARMLESS.
REMARKS = (
    "msflow_jax",
    "created",
    "command",
    "python",
    "packages.",
    "device",
    "platform",
    "seed",
    "git",
)


def make(path, family="symmetric"):
    """A workdir with a checkpoint, as far as files that are no arrays go."""
    workdir.create(path, default_config(family), INFO)
    step, metrics = path / "checkpoints" / "4", {"val_auc": 0.5}
    for folder in ("ema", "facts", "metrics"):
        (step / folder).mkdir(parents=True)
    (step / "facts" / "metadata").write_text(
        json.dumps({"made": workdir.made_with(path), "metrics": metrics})
    )
    (step / "metrics" / "metrics").write_text(json.dumps(metrics))
    return path


def leaves(tree, path=()):
    """Paths of everything in JSON that is no object and no list."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if isinstance(value, dict | list) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def changed(tree, path):
    """A copy with one leaf that says something else of the same type."""
    out = copy.deepcopy(tree)
    at = out
    for key in path[:-1]:
        at = at[key]
    value = at[path[-1]]
    others = {bool: lambda v: not v, int: lambda v: v + 1, float: lambda v: v * 0.75 + 0.11,
              str: lambda v: v + "x", list: lambda v: ["x"], dict: lambda v: {"x": "x"},
              type(None): lambda v: "x"}  # fmt: skip
    at[path[-1]] = others[type(value)](value)
    return out


def check(path):
    check_made(path, *workdir.read(path))


@pytest.mark.parametrize("family", ["symmetric", "coupling"])
def test_every_edit_of_a_value_is_refused_or_harmless(tmp_path, family):
    make(tmp_path, family)
    check(tmp_path)
    harmless = set()
    for name in ("config.json", "manifest.json"):
        file = tmp_path / name
        before = file.read_text()
        content = json.loads(before)
        for path in leaves(content):
            key = ".".join(map(str, path))
            file.write_text(json.dumps(changed(content, path)))
            try:
                check(tmp_path)
                harmless.add(f"{name}: {key}")
            except ValueError as error:
                assert str(tmp_path) in str(error), error
                assert "\n" not in str(error)
        file.write_text(before)
    check(tmp_path)
    for one in harmless:
        name, key = one.split(": ")
        listed = facts.matters(f"config.{key}") if name == "config.json" else facts.matters(key)
        assert not listed or key.startswith(REMARKS), one
    assert "config.json: train.learning_rate" in harmless and len(harmless) < 50


def test_the_key_that_differs_is_named(tmp_path):
    make(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["data"]["classes"].reverse()
    workdir.write_json(tmp_path / "manifest.json", manifest)
    with pytest.raises(
        ValueError, match=r"manifest.json has data.classes=\['worse', 'well', 'ill'\]"
    ):
        check(tmp_path)


def test_a_checkpoint_says_what_it_was_made_with(tmp_path):
    """A new one must, one of before need not; nor may metrics be edited, which choose the best."""
    make(tmp_path)
    step = tmp_path / "checkpoints" / "4"
    (step / "metrics" / "metrics").write_text('{"val_auc": 0.9}')
    with pytest.raises(ValueError, match="does not hold the metrics that were saved"):
        check(tmp_path)
    shutil.rmtree(step / "facts")
    with pytest.raises(ValueError, match="does not say what it was made with"):
        check(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    workdir.write_json(tmp_path / "manifest.json", {**manifest, "format": 2})
    check(tmp_path)
    config, info = workdir.read(tmp_path)
    workdir.create(tmp_path, config, info)  # the run goes on, and stays of the format before
    assert json.loads((tmp_path / "manifest.json").read_text())["format"] == 2


@pytest.mark.parametrize("edit", [lambda p: p.write_bytes(b"y"), lambda p: p.unlink()])
def test_files_of_the_parts_are_those_of_the_checkpoint(tmp_path, edit):
    """The mask, the label pictures, the autoencoder: they change what is predicted."""
    (tmp_path / "autoencoder" / "weights").mkdir(parents=True)
    for name in ("autoencoder/weights/0", "label_pictures.safetensors"):
        (tmp_path / name).write_bytes(b"x")
    make(tmp_path)
    check(tmp_path)
    for name in ("autoencoder/weights/0", "label_pictures.safetensors"):
        edit(tmp_path / name)
        with pytest.raises(
            ValueError, match=f"{name} is not the file that the checkpoint 4 was made"
        ):
            check(tmp_path)
        (tmp_path / name).write_bytes(b"x")
    check(tmp_path)


def test_settings_edited_by_hand_are_no_way_to_go_on(tmp_path):
    make(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["model"]["code"]["beta"] = 5.0
    workdir.write_json(tmp_path / "config.json", config)
    with pytest.raises(ValueError, match="model.code.beta=5.0, the checkpoint was made with 4.0"):
        workdir.refuse_other_run(tmp_path, workdir.read(tmp_path)[0])


def test_a_run_goes_on_with_subjects_that_are_found_shared(tmp_path):
    """The remedy of that error is a setting that changes nothing else."""
    make(tmp_path, "diffusers")
    config = workdir.read(tmp_path)[0]
    assert not config.model.shared_subjects
    config.model.shared_subjects = True
    workdir.create(tmp_path, config, INFO)
    check(tmp_path)
    assert workdir.read(tmp_path)[0].model.shared_subjects


def test_a_solver_that_is_refused_now_is_replaced_in_a_kept_run(tmp_path):
    """The run opens, and goes on with what the refusal names; what never was a solver is no run's."""
    make(tmp_path, "synergy")
    places = tmp_path / "config.json", tmp_path / "checkpoints" / "4" / "facts" / "metadata"
    before = [json.loads(file.read_text()) for file in places]

    def write(solver):
        stored, made = copy.deepcopy(before)
        for one in (stored, made["made"]["config"]):
            one["model"]["prediction"] = "data"
            one["sample"]["translate"]["solver"] = solver
        for file, content in zip(places, (stored, made), strict=True):
            file.write_text(json.dumps(content))

    write("heun")
    with pytest.warns(UserWarning, match=r"config.json: sample.translate.solver='heun' left noise"):
        config, info = workdir.read(tmp_path)
    assert config.sample.translate.solver == "euler"
    check_made(tmp_path, config, info)
    with pytest.warns(UserWarning, match="draws by 'euler' now"):
        workdir.create(tmp_path, config, INFO)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(tmp_path)
    write("guess")
    with pytest.raises(ValueError, match="unknown sample.translate.solver 'guess'"):
        workdir.read(tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def test_json_of_any_kind_is_read_or_named(tmp_path):
    """Cut, another leaf, or something else altogether: of its type, or one line with the file."""
    make(tmp_path)
    workdir.write_json(tmp_path / "evaluation.json", learned())
    (tmp_path / "evaluations").mkdir()
    workdir.write_json(tmp_path / "evaluations" / "standing.json", {"name": "test"})
    files = [
        tmp_path / name
        for name in ("config.json", "manifest.json", "evaluation.json", "evaluations/standing.json",
                     "checkpoints/4/facts/metadata", "checkpoints/4/metrics/metrics")
    ]  # fmt: skip
    before = {file: file.read_bytes() for file in files}

    def try_one(file, number, value, kind):
        text = before[file]
        content = json.loads(text)
        if kind == "cut":
            text = text[: number % len(text)]
        elif kind == "other":
            text = json.dumps(value).encode()
        else:
            paths = list(leaves(content))
            *way, last = paths[number % len(paths)]
            at = content
            for key in way:
                at = at[key]
            at[last] = value
            text = json.dumps(content).encode()
        file.write_bytes(text)
        try:
            check(tmp_path)
            found = read_calibration(tmp_path, 4)
            assert isinstance(found, Calibration) and isinstance(found.temperature, float)
            evaluations.names(tmp_path)
        except (ValueError, FileNotFoundError) as error:
            assert "\n" not in str(error) and str(tmp_path) in str(error), error
        finally:
            file.write_bytes(before[file])

    kinds = st.sampled_from(("cut", "other", "leaf"))
    assert fuzz(try_one, st.sampled_from(files), st.integers(0, 10_000), json_values, kinds) > 50
