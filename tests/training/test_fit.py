"""The loop: resuming, recording, stopping."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.data.order import batch_indices
from msflow_jax.storage.checkpoints import Checkpoints
from msflow_jax.training import Stopped, fit
from msflow_jax.training.records import read_records
from msflow_jax.training.source import Source
from msflow_jax.training.stage import total_steps
from tests.training.tiny_training import assert_equal, make_stage


class Killed(Exception):
    """Stands for whatever ends a run from outside."""


class Line:
    """A model that is no flow: a line through brightness and label. Label -1 breaks its loss."""

    def init(self, key):
        return {"slope": jax.random.normal(key), "offset": jnp.zeros(())}

    def loss(self, params, batch, key, *, train):
        brightness = batch["image"].mean((1, 2, 3)) + 0.1 * jax.random.normal(key)
        error = params["slope"] * brightness + params["offset"] - jnp.log(batch["label"] + 1.0)
        return jnp.mean(error**2), {"loss_line": jnp.mean(jnp.abs(error))}


class Steep(Line):
    """Finite loss, infinite gradient."""

    def loss(self, params, batch, key, *, train):
        return jnp.sqrt(jnp.abs(params["offset"])), {}


def run(model, arrays, config, workdir, flips=(), validate=None):
    workdir.mkdir(exist_ok=True)
    source = Source.of_arrays(arrays, flips=flips)
    return fit(make_stage(model, source, config, validate=validate), workdir, progress=False)


def rows(workdir):
    """The records without the speed, which is the only thing that may differ."""
    speed = ("images_per_second", "step_ms", "data_wait")
    kept = [{k: v for k, v in r.items() if k not in speed} for r in read_records(workdir)]
    return [row for row in kept if "loss" in row]


def test_a_resumed_run_equals_an_undisturbed_one(flow, arrays, train_config, tmp_path, undisturbed):
    calls = []

    def validate(params):
        calls.append(params)
        if len(calls) == 2:
            raise Killed
        return {"val_auc": 0.5}

    settings = {"flips": ("horizontal",), "validate": validate}
    with pytest.raises(Killed):
        run(flow, arrays, train_config, tmp_path, **settings)
    assert [r["step"] for r in rows(tmp_path)] == list(range(1, 9))
    state = run(flow, arrays, train_config, tmp_path, **settings)
    expected, folder = undisturbed
    assert state.step == 12
    assert_equal(state, expected)
    assert rows(tmp_path) == rows(folder)
    assert [r["step"] for r in rows(tmp_path)] == list(range(1, 13))  # 5 to 8 stand there once
    validated = [r["step"] for r in read_records(tmp_path) if "val_auc" in r]
    assert validated == [4, 8, 12]


def test_a_finished_run_stays_as_it_is(flow, arrays, train_config, undisturbed):
    state, folder = undisturbed
    before = (folder / "metrics.jsonl").read_text()
    assert_equal(run(flow, arrays, train_config, folder, flips=("horizontal",)), state)
    assert (folder / "metrics.jsonl").read_text() == before


def test_training_learns(undisturbed):
    losses = [r["loss"] for r in rows(undisturbed[1])]
    assert len(losses) == 12 and np.mean(losses[-4:]) < np.mean(losses[:4])
    assert set(rows(undisturbed[1])[0]) >= {
        "loss", "loss_image", "loss_label", "gradient_norm", "learning_rate", "step",
    }  # fmt: skip
    assert list((undisturbed[1] / "tensorboard").iterdir())


def test_steps_a_dispatch_change_nothing(arrays, train_config, tmp_path):
    train_config.log_every = 5
    one = run(Line(), arrays, train_config, tmp_path / "one")
    train_config.steps_per_dispatch = 3
    several = run(Line(), arrays, train_config, tmp_path / "several")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), several, one)
    assert [r["step"] for r in rows(tmp_path / "several")] == [5, 10, 12]


def test_a_start_that_can_be_used_is_kept_where_nothing_is_better(arrays, train_config, tmp_path):
    values = iter([0.9, 0.5, Killed, 0.6, 0.7])

    def validate(params):
        if (found := next(values)) is Killed:
            raise Killed
        return {"val_auc": found}

    source = Source.of_arrays(arrays)
    stage = make_stage(Line(), source, train_config, validate=validate)
    stage = dataclasses.replace(stage, trained=True)
    with pytest.raises(Killed):
        fit(stage, tmp_path, progress=False)
    fit(stage, tmp_path, progress=False)
    validated = [r["step"] for r in read_records(tmp_path) if "val_auc" in r]
    assert validated == [0, 4, 8, 12] and next(values, None) is None
    with Checkpoints(tmp_path / "checkpoints", keep=1, read_only=True) as kept:
        step, params = kept.restore_params()
    assert step == 0
    jax.tree.map(np.testing.assert_array_equal, params, stage.initial({}))


@pytest.mark.parametrize("auc, better", [(0.9, True), (0.7, False)])
def test_an_alternative_start_classifies_where_it_is_better(
    arrays, train_config, tmp_path, auc, better
):
    """Nothing is trained from it, also where only step 0 was there to go on from."""
    source, killed = Source.of_arrays(arrays), []

    def validate(params):
        if float(params["slope"]) == 7.0:
            return {"val_auc": auc, "val_flow_loss": 0.0}
        if not killed and len(list(tmp_path.glob("w/checkpoints/0"))):
            killed.append(True)
            raise Killed
        return {"val_auc": 0.8 if np.all(params["slope"] == start["slope"]) else 0.6,
                "val_flow_loss": 0.5}  # fmt: skip

    plain = make_stage(Line(), source, train_config, validate=validate)
    start = plain.initial({})
    other = {"slope": np.float32(7.0), "offset": np.float32(1.0)}
    stage = dataclasses.replace(plain, trained=True, alternative=other)
    with pytest.raises(Killed):
        fit(stage, tmp_path / "w", progress=False)
    assert killed
    found = fit(stage, tmp_path / "w", progress=False)
    assert_equal(found, fit(plain, tmp_path / "plain", progress=False))
    with Checkpoints(tmp_path / "w" / "checkpoints", read_only=True) as kept:
        step, params = kept.restore_params()
        assert step == 0 and ("val_flow_loss" in kept.metrics(0)) is not better
        assert kept.best_drawing() > 0  # it classifies alone
    jax.tree.map(np.testing.assert_array_equal, params, other if better else start)


def test_never_is_zero(arrays, train_config, tmp_path):
    train_config.eval_every = train_config.log_every = 0
    found = []

    def validate(params):
        return found.append(1) or {"val_auc": 0.5}

    run(Line(), arrays, train_config, tmp_path, validate=validate)
    assert found == [1]
    assert [(r["step"], r.get("loss")) for r in read_records(tmp_path)] == [(12, None)]
    with Checkpoints(tmp_path / "checkpoints", read_only=True) as checkpoints:
        assert checkpoints.steps() == [12]


def test_a_loss_that_is_not_finite_stops_the_run(arrays, train_config, tmp_path):
    train_config.eval_every = 1
    third = batch_indices(train_config.seed, 2, 1, 40, 8)[0]
    labels = arrays["label"].copy()
    labels[third[3]] = -1
    with pytest.raises(
        Stopped, match=f"loss is inf .*at step 3 .*images {third[0]}, .*step 2 is kept"
    ):
        run(Line(), {**arrays, "label": labels}, train_config, tmp_path)
    with Checkpoints(tmp_path / "checkpoints", read_only=True) as checkpoints:
        assert checkpoints.steps()[-1] == 2
        assert np.isfinite(checkpoints.restore_params()[1]["slope"])


def test_a_gradient_that_is_not_finite_stops_the_run(arrays, train_config, tmp_path):
    train_config.eval_every = 1
    with pytest.raises(Stopped, match=r"loss is 0.0 and its gradient's norm (nan|inf) at step 1 "):
        run(Steep(), arrays, train_config, tmp_path)
    with Checkpoints(tmp_path / "checkpoints", read_only=True) as checkpoints:
        assert checkpoints.steps() == []


def test_no_images_no_training(train_config, tmp_path):
    empty = {"image": np.zeros((0, 8, 8, 1), np.uint8), "label": np.zeros(0, np.int32)}
    with pytest.raises(ValueError, match="training split is empty"):
        run(Line(), empty, train_config, tmp_path)


def test_length_of_a_run(train_config):
    assert total_steps(train_config, 1000) == 12
    train_config.update({"steps": 0, "epochs": 2.0})
    assert total_steps(train_config, 1000) == 250
    assert total_steps(train_config, 1) == 1


class Plain(Line):
    """Without noise of its own."""

    def loss(self, params, batch, key, *, train):
        error = params["slope"] * batch["image"].mean((1, 2, 3)) + params["offset"] - batch["label"]
        return jnp.mean(error**2), {"loss_line": jnp.mean(jnp.abs(error))}


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_accumulated_gradients_are_those_of_the_whole_batch(parts, arrays, train_config, tmp_path):
    whole = run(Plain(), arrays, train_config, tmp_path / "whole")
    train_config.accumulate = parts
    in_parts = run(Plain(), arrays, train_config, tmp_path / "parts")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), in_parts, whole)
    for a, b in zip(rows(tmp_path / "whole"), rows(tmp_path / "parts"), strict=True):
        assert b == pytest.approx(a, rel=1e-5)


def test_a_trace_of_a_few_steps(arrays, train_config, tmp_path):
    train_config.profile = True
    run(Plain(), arrays, train_config, tmp_path)
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))


def test_the_moving_average_is_validated(arrays, train_config, tmp_path):
    seen = []

    def validate(params):
        seen.append(params)
        return {"val_auc": 0.5}

    state = run(Line(), arrays, train_config, tmp_path, validate=validate)
    assert_equal(seen[-1], state.ema)
    assert (np.asarray(state.ema["slope"]) != np.asarray(state.params["slope"])).all()


class Noisy(Line):
    """Says what noise it was given, and how much of the training is done."""

    def loss(self, params, batch, key, *, train, progress):
        noise = jax.random.normal(key)
        said = {"noise": noise, "square": noise**2, "done": progress}
        return params["slope"] ** 2, said


@pytest.mark.parametrize("parts", [1, 2])
def test_every_step_and_part_has_noise_of_its_own(parts, arrays, train_config, tmp_path):
    train_config.accumulate = parts
    run(Noisy(), arrays, train_config, tmp_path)
    noise, square, done = (
        np.array([row[name] for row in rows(tmp_path)]) for name in ("noise", "square", "done")
    )
    assert len(set(noise.tolist())) == 12
    spread = square - noise**2  # over the parts of a batch
    assert (spread > 1e-4).all() if parts > 1 else np.abs(spread).max() < 1e-5
    np.testing.assert_allclose(done, np.arange(12) / 12, atol=1e-6)
