"""Which checkpoint is the best: pure functions of what validation said."""

from types import SimpleNamespace

import pytest

from msflow_jax.storage.checkpoints import Checkpoints
from msflow_jax.storage.choice import (
    Keep,
    best,
    best_drawing,
    classifies_better,
    classifying_alone,
    notes,
    score,
)
from tests.storage.test_checkpoints import make_state
from tests.training.tiny_training import save

R = {"_resolution": 0.01}


@pytest.mark.parametrize(
    "one, other, better",
    [
        ({"val_auc": 0.9}, {"val_auc": 0.8}, True),
        ({"val_auc": 0.8}, {"val_auc": 0.9}, False),
        ({"val_auc": 0.9}, {"val_auc": 0.9}, False),  # a tie
        ({"val_auc": 0.9}, {"val_auc": 0.895}, False),  # as good as equal
        ({"val_auc": 0.9, "val_nll": 0.5}, {"val_auc": 0.895, "val_nll": 0.4}, False),
        ({"val_auc": 0.895, "val_nll": 0.4}, {"val_auc": 0.9, "val_nll": 0.5}, True),
    ],
)
def test_the_better_of_two(one, other, better):
    assert classifies_better(one, other, "val_auc", 0.01) is better


def test_what_classifies_alone_is_never_picked_to_draw():
    found = classifying_alone({"val_auc": 0.9, "val_flow_loss": 0.1, "val_jump_error": 0.0})
    assert found == {"val_auc": 0.9}
    drawn = {"val_auc": 0.5, "val_jump_error": 3.0}
    noted = {0: {**found, **R}, 4: {**drawn, **R}}
    assert best_drawing(noted, "val_auc") == 4 and best(noted, "val_auc") == 0


@pytest.mark.parametrize(
    "select, found, expected",
    [
        ("val_auc", {}, None),
        ("val_auc", {1: {}, 2: {}}, 2),  # no validation: the newest
        ("val_auc", {1: {"val_auc": 0.7}, 2: {}}, 1),
        ("val_auc", {1: {"val_auc": 0.7}, 2: {"val_auc": float("nan")}}, 1),
        ("val_auc", {1: {"val_auc": 0.9}, 2: {"val_auc": 0.8999}}, 1),  # as they are
        ("val_auc", {1: {"val_auc": 0.9, **R}, 2: {"val_auc": 0.892, **R}}, 2),  # equals: the later
        ("val_auc", {1: {"val_auc": 0.9, **R}, 2: {"val_auc": 0.888, **R}}, 1),
        (  # equals: the lower negative log-likelihood
            "val_auc",
            {
                1: {"val_auc": 0.9998, "val_nll": 0.3, **R},
                2: {"val_auc": 0.9991, "val_nll": 0.1, **R},
                3: {"val_auc": 0.9995, "val_nll": 0.2, **R},
                4: {"val_auc": 0.9890, "val_nll": 0.0, **R},
            },
            2,
        ),
        ("-val_nll", {1: {"val_nll": 0.3}, 2: {"val_nll": 0.1}, 3: {"val_nll": 0.2}}, 2),
    ],
)
def test_the_one_that_classifies_best(select, found, expected):
    assert best(found, select) == expected
    assert best(dict(reversed(found.items())), select) == expected  # whatever the order


def test_ties_do_not_lead_down_step_by_step():
    """Each is within the resolution of the one before, and has the lower likelihood loss."""
    found, kept = {}, {}
    for step in range(1, 40):
        metrics = {"val_auc": 1 - 0.005 * step, "val_nll": 1 / step}
        found[step] = {**metrics, **notes(metrics, kept, "val_auc", 0.01)}
        kept = {
            s: found[s] for s in {*list(found)[-1:], best({**kept, step: found[step]}, "val_auc")}
        }
        assert found[best(kept, "val_auc")]["val_auc"] >= 0.995 - 0.01 - 1e-9
    assert notes({}, {1: {"val_auc": 0.5}}, "-val_auc", 0.0)["_reached"] == -0.5
    assert "_reached" not in notes({}, {}, "val_auc", 0.0)


def test_the_one_that_draws_best():
    read = {"val_auc": 0.9, "val_flow_loss": 0.5, **R}
    late = {"val_auc": 0.8, "val_flow_loss": 0.4, **R}
    assert best({1: read, 2: late, 3: {}}, "val_auc") == 1
    assert best_drawing({1: read, 2: late, 3: {}}, "val_auc") == 2
    assert best_drawing({1: {"val_bits": 3.0, **R}, 2: {"val_bits": 3.2, **R}}, "val_auc") == 1
    assert best_drawing({1: {"val_bits": 3.0}, 2: {"val_bits": 3.2}}, "val_auc") == 2  # an old run
    assert best_drawing({1: {"val_auc": 0.9}, 2: {"val_auc": 0.8}}, "val_auc") == 1  # not measured
    assert best_drawing({}, "val_auc") is None
    assert score({"val_bits": 3.0}, "-val_bits") == -3 and score(None, "val_auc") == -float("inf")


def test_the_newest_and_both_best_are_kept():
    scores = [(0.9, 0.9), (0.5, 0.1), (0.6, 0.5), (0.7, 0.6), (0.7, 0.7)]
    infos = [
        SimpleNamespace(step=i, metrics={"val_auc": auc, "val_flow_loss": loss, "_resolution": 0.0})
        for i, (auc, loss) in enumerate(scores)
    ]
    keep = Keep(1, "val_auc")
    assert keep.should_preserve(infos) == [True, True, False, False, True]
    assert keep.should_preserve([SimpleNamespace(step=3, metrics=None)]) == [True]


def test_the_choice_does_not_depend_on_how_many_stay():
    """Of 1 to 3 the last is best, by its likelihood; once 4 raises what is equal, 2 is."""
    said = {1: (0.80, 0.9), 2: (0.91, 0.5), 3: (0.905, 0.4), 4: (0.916, 0.6)}
    for newest in (1, 2, 4):
        kept = {}
        for step, (auc, nll) in said.items():
            metrics = {"val_auc": auc, "val_nll": nll}
            kept[step] = {**metrics, **notes(metrics, kept, "val_auc", 0.01)}
            infos = [SimpleNamespace(step=s, metrics=m) for s, m in kept.items()]
            stays = Keep(newest, "val_auc").should_preserve(infos)
            kept = {one.step: one.metrics for one, stay in zip(infos, stays, strict=True) if stay}
            assert best(kept, "val_auc") == {4: 2}.get(step, step), newest


def test_both_best_are_on_disk_and_no_more(tmp_path):
    scores = [(0.9, 0.9), (0.5, 0.1), (0.6, 0.5), (0.7, 0.6)]
    folder = tmp_path / "c"
    with Checkpoints(folder, keep=1) as checkpoints:
        for step, (auc, loss) in enumerate(scores, start=1):
            save(checkpoints, make_state(step), {"val_auc": auc, "val_flow_loss": loss})
    assert {path.name for path in folder.iterdir()} == {"1", "2", "4"}
    with Checkpoints(folder, read_only=True) as checkpoints:
        assert (checkpoints.best(), checkpoints.best_drawing()) == (1, 2)
        assert checkpoints.metrics(2) == {"val_auc": 0.5, "val_flow_loss": 0.1}
