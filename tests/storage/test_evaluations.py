"""Evaluations by name: where they lie, which one stands, and what is not overwritten."""

import json

import pytest

from msflow_jax.storage import evaluations


def content(split="test", step=4, **classify):
    used = {"draws": 8, "steps": 1, "prior": "natural", **classify}
    return {
        "split": split,
        "settings": {"seed": 0, "batch": 128, "classify": used, "step": step},
        "learned": {},
    }


def write(workdir, name, found):
    folder = workdir / "evaluations" / name if name else workdir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(found))
    (folder / "evaluation.npz").write_bytes(b"arrays")


def test_the_standing_one_comes_first(tmp_path):
    assert evaluations.standing(tmp_path) == "" and evaluations.names(tmp_path) == []
    for name in ("test", "siteB", "val"):
        write(tmp_path, name, content())
    assert evaluations.standing(tmp_path) == ""
    evaluations.adopt(tmp_path, "val")
    assert evaluations.standing(tmp_path) == "val"
    assert evaluations.names(tmp_path) == ["val", "siteB", "test"]
    assert evaluations.place(tmp_path, "val") == tmp_path / "evaluations" / "val"


def test_one_of_before_there_were_names_stands_and_moves_with_the_next(tmp_path):
    write(tmp_path, "", content())
    assert evaluations.standing(tmp_path) == "test" and evaluations.names(tmp_path) == ["test"]
    assert evaluations.place(tmp_path, "test") == tmp_path
    assert evaluations.make_room(tmp_path, "val", 4) == ""
    assert evaluations.standing(tmp_path) == "test"
    assert not (tmp_path / "evaluation.json").exists()
    assert (tmp_path / "evaluations" / "test" / "evaluation.npz").read_bytes() == b"arrays"


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"draws": 4}, "classify.draws=8, not 4"),
        ({"steps": 4}, "classify.steps=1, not 4"),
        ({"prior": "uniform"}, "classify.prior='natural', not 'uniform'"),
    ],
)
def test_other_settings_need_another_name(tmp_path, changed, words):
    write(tmp_path, "test", content())
    evaluations.check_free(tmp_path, "test", evaluations.describe(content(step=9)))
    evaluations.check_free(tmp_path, "other", evaluations.describe(content(**changed)))
    with pytest.raises(ValueError, match=rf"has an evaluation 'test' with {words}.*--name="):
        evaluations.check_free(tmp_path, "test", evaluations.describe(content(**changed)))


def test_what_only_adds_is_not_lost(tmp_path):
    more = content()
    more["settings"] |= {"outside": ["a.npz"], "batch": 2}
    write(tmp_path, "test", content())
    evaluations.check_free(tmp_path, "test", evaluations.describe(more))
    write(tmp_path, "test", more)
    with pytest.raises(ValueError, match="outside="):
        evaluations.check_free(tmp_path, "test", evaluations.describe(content()))


def test_one_of_another_step_is_kept(tmp_path):
    write(tmp_path, "test", content(step=4))
    evaluations.adopt(tmp_path, "test")
    assert evaluations.make_room(tmp_path, "test", 4) == ""
    assert evaluations.make_room(tmp_path, "test", 8) == "test-step4"
    write(tmp_path, "test", content(step=8))
    assert evaluations.names(tmp_path) == ["test", "test-step4"]


def test_a_damaged_one_is_measured_again(tmp_path):
    write(tmp_path, "test", content())
    evaluations.adopt(tmp_path, "test")
    file = tmp_path / "evaluations" / "test" / "evaluation.json"
    file.write_text("{")
    evaluations.check_free(tmp_path, "test", evaluations.describe(content()))
    assert evaluations.make_room(tmp_path, "test", 4) == ""
    assert not file.exists() and file.with_name("evaluation.json.damaged").read_text() == "{"


@pytest.mark.parametrize(
    "key, words", [("stage", "the stage 'a'"), ("images_md5", "from elsewhere")]
)
def test_what_cannot_stand(tmp_path, key, words):
    found = content()
    found["settings"][key] = "a"
    write(tmp_path, "x", found)
    with pytest.raises(ValueError, match=words):
        evaluations.adopt(tmp_path, "x")


def test_what_is_not_there_is_named(tmp_path):
    write(tmp_path, "test", content())
    with pytest.raises(ValueError, match="has no evaluation 'val': it has test"):
        evaluations.adopt(tmp_path, "val")
    for name in ("../x", "a b", "", "index", ".hidden", "standing.json", "x" * 201):
        with pytest.raises(ValueError, match="an evaluation is named by letters"):
            evaluations.check_name(name)
    note = tmp_path / "evaluations" / "standing.json"
    for text, words in (
        ("{", "damaged"), ('{"name": 3}', "damaged"), ('{"name": "gone"}', "--adopt=NAME"),
        ('{"name": "../../x"}', "damaged"),
    ):  # fmt: skip
        note.write_text(text)
        with pytest.raises(ValueError, match=words):
            evaluations.standing(tmp_path)
