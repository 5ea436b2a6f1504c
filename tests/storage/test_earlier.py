"""What is left of an earlier run: which parameters an evaluation is of, and where it goes."""

import pytest

from msflow_jax.storage import earlier, evaluations
from msflow_jax.storage.parameters import Parameters, digest_of_stages, saved_digest
from tests.storage.test_evaluations import content, write

MINE, OTHER = "a" * 16, "b" * 16


@pytest.mark.parametrize(
    ("of", "now", "words"),
    [
        ((4, MINE), (4, MINE), ""),
        ((4, MINE), (4, OTHER), "of an earlier training to step 4, the parameters of another one"),
        ((4, MINE), (6, MINE), "of step 4, the parameters of step 6"),
        ((4, ""), (4, MINE), ""),  # an evaluation of before there were digests
        ((4, ""), (6, MINE), "of step 4, the parameters of step 6"),
        ((None, ""), (4, MINE), ""),
        ((4, MINE), (None, ""), ""),  # any will do
    ],
)
def test_parameters_are_the_same_by_step_and_digest(of, now, words):
    assert Parameters(*of).difference(Parameters(*now)) == words


def test_a_digest_is_of_the_parameters_to_use_of_all_stages(tmp_path):
    path = tmp_path / "digests" / "metadata"
    path.parent.mkdir()
    found = []
    for ema, state in (("1", "1"), ("1", "2"), ("2", "1")):
        path.write_text(f'{{"ema": {{"w": "{ema}"}}, "state": {{"w": "{state}"}}}}')
        found.append(saved_digest(tmp_path))
    assert found[0] == found[1] != found[2]
    both = [digest_of_stages({"a": one, "b": other}) for one, other in (("1", "2"), ("2", "1"))]
    assert both[0] != both[1] != digest_of_stages({"b": "2"})
    for broken in ("{}", None):
        path.unlink() if broken is None else path.write_text(broken)
        with pytest.raises(ValueError, match="its digests are missing.*restore it from a copy"):
            saved_digest(tmp_path)


def measured(digest, step=4):
    found = content(step=step)
    found["settings"]["parameters"] = digest
    return found


def test_the_step_that_stands_with_what_is_applied_comes_first():
    found = measured(MINE)
    assert evaluations.parameters_of(found) == (4, MINE)
    assert evaluations.parameters_of({**found, "learned": {"step": 2}}) == (2, MINE)
    assert evaluations.parameters_of({}) == (None, "")


def test_one_of_another_training_to_the_same_step_is_kept(tmp_path):
    write(tmp_path, "test", measured(MINE))
    evaluations.adopt(tmp_path, "test")
    evaluations.check_free(tmp_path, "test", evaluations.describe(measured(OTHER)))
    assert evaluations.describe(measured(MINE)) == evaluations.describe(content())
    assert evaluations.make_room(tmp_path, "test", 4, MINE) == ""
    assert evaluations.make_room(tmp_path, "test", 4, OTHER) == "test-step4"
    write(tmp_path, "test", measured(OTHER))
    assert evaluations.names(tmp_path) == ["test", "test-step4"]
    write(tmp_path, "test", content())
    assert evaluations.make_room(tmp_path, "test", 4, OTHER) == ""  # not known: as it was


def test_evaluations_and_report_are_set_aside_together(tmp_path):
    assert earlier.set_aside(tmp_path) is None and not list(tmp_path.iterdir())
    for name in ("test", "val"):
        write(tmp_path, name, content(name))
    evaluations.adopt(tmp_path, "val")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("figures")
    (tmp_path / "metrics.jsonl").write_text("")
    assert earlier.set_aside(tmp_path) == tmp_path / "earlier-run"
    assert evaluations.names(tmp_path) == [] and evaluations.standing(tmp_path) == ""
    assert {path.name for path in tmp_path.iterdir()} == {"earlier-run", "metrics.jsonl"}
    kept = tmp_path / "earlier-run"
    assert evaluations.names(kept) == ["val", "test"]
    assert (kept / "report" / "index.html").read_text() == "figures"
    write(tmp_path, "", content())  # of before there were names
    assert earlier.set_aside(tmp_path) == tmp_path / "earlier-run-2"
    assert evaluations.names(tmp_path) == []
    assert (tmp_path / "earlier-run-2" / "evaluation.npz").read_bytes() == b"arrays"
    assert evaluations.names(kept) == ["val", "test"] and earlier.set_aside(tmp_path) is None
