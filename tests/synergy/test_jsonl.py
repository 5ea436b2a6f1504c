"""Instances as files: read as they were written, refused by line, scored as the public code does."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from msflow_jax.data.slices import SLICE
from msflow_jax.synergy import jsonl
from msflow_jax.synergy.instances import NO_ROUTE, SELECTION
from msflow_jax.synergy.scoring import OTHER, letter_in, names_in, score
from tests.synergy.cohorts import NAMES, cohort, tasks

COUNT = 60
NAMED = '{"A": "T1", "B": "CT", "C": "T2", "D": "T1"}'


@pytest.fixture(scope="module", params=["aligned", "questions", "permuted"])
def written(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    made = tasks(cohort(facts=True), arm=request.param)
    return made, jsonl.write(folder, made, COUNT)


def test_what_is_written_is_read(written):
    made, path = written
    lines, split = jsonl.read(path), made.split
    assert len(lines) == COUNT
    for i, line in enumerate(lines):
        one = made.instance(i)
        assert (line.prompt, line.reply) == (one.prompt, made.reply(one))
        used = [slot for slot, row in enumerate(one.rows) if row >= 0]
        for file, slot in zip(line.images, used, strict=True):
            expected = split.arrays[NAMES[one.modality[slot]]][one.rows[slot], ..., 0]
            np.testing.assert_array_equal(np.asarray(Image.open(file)), expected)
        route = made.route(one)
        if route == NO_ROUTE:
            assert line.pair is None and line.slice is None
            continue
        assert line.pair == tuple(NAMES[k] for k in route)
        slot = 1 + one.answer if one.task == SELECTION else 1
        assert line.slice == split.truth[SLICE][one.rows[slot]]


def test_lines_are_of_the_public_format_and_name_no_subject(written):
    made, path = written
    text = path.read_text()
    assert "secret" not in text and not list(path.parent.rglob("*secret*"))
    for line in text.splitlines():
        found = json.loads(line)
        assert set(found) == {"id", "image", "conversations", "pair", "slice_idx"}
        human, gpt = found["conversations"]
        assert (human["from"], gpt["from"]) == ("human", "gpt")
        assert human["value"].count("<image>") == len(found["image"])
    shown = {
        (k, row)
        for i in range(COUNT)
        for k, row in zip(made.instance(i).modality, made.instance(i).rows, strict=True)
        if row >= 0
    }
    assert len(list((path.parent / "images").iterdir())) == len(shown)  # each once


def line(**changes):
    """A line that is right but for these."""
    turns = [{"from": "human", "value": "<image>\nWhich?"}, {"from": "gpt", "value": "D"}]
    return {"id": "x", "image": ["a.png"], "conversations": turns, **changes}


def turns(*said):
    return [{"from": role, "value": value} for role, value in said]


BAD = {
    "json": ('{"image": ', "no JSON"),
    "deep": ("[" * 100_000, "no JSON"),
    "list": ("[1]", "a JSON object is expected, not list"),
    "keys": ({"image": ["a.png"]}, "the key 'conversations' is missing"),
    "no image": ({"conversations": []}, "the key 'image' is missing"),
    "image": (line(image="a.png"), "must be a list"),
    "empty": (line(image=[]), "at least one path"),
    "missing": (line(image=["b.png"]), r"the image .*b\.png is missing"),
    "outside": (line(image=["../a.png"]), "lies outside"),
    "absolute": (line(image=["/etc/hostname"]), "lies outside"),
    "turns": (line(conversations="Which?"), "must be a list of objects"),
    "none": (line(conversations=[]), "one of human, then one of gpt, got none"),
    "order": (line(conversations=turns(("gpt", "D"), ("human", "x"))), "got gpt, human"),
    "role": (line(conversations=turns(("human", "x"), ("human", "D"))), "got human, human"),
    "more": (line(conversations=turns(*[("human", "x"), ("gpt", "D")] * 2)), "got human, gpt, human"),
    "text": (line(conversations=turns(("human", " "), ("gpt", "D"))), "no text"),
    "number": (line(conversations=turns(("human", "x"), ("gpt", 3))), "no text"),
    "letter": (line(conversations=turns(("human", "x"), ("gpt", "E"))), "a letter A to D.*got 'E'"),
    "two": (line(conversations=turns(("human", "x"), ("gpt", "AB"))), "got 'AB'"),
    "panel": (line(conversations=turns(("human", "x"), ("gpt", '{"E": "T1"}'))), "a letter A to D"),
    "pair": (line(pair={"src": "t1w"}), '"pair" must be an object'),
    "long": (line(image=["x" * 5000]), "the image 'x{80}' is no path of a file"),
    "nul": (line(image=["a\0b"]), "is no path of a file"),
    "images alone": (line(conversations=turns(("human", "<image>"), ("gpt", "D"))), "has no words"),
    "twice": ('{"image": ["a.png"], "id": 1, "id": 2}', "the key 'id' twice"),
    "id": (line(id=[1]), r"id must be a text or a whole number, got \[1\]"),
    "slice": (line(slice_idx="3"), "slice_idx must be a whole number, got '3'"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", BAD)
def test_a_bad_line_is_named(wrong, tmp_path):
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    bad, message = BAD[wrong]
    path = tmp_path / "x.jsonl"
    text = bad if isinstance(bad, str) else json.dumps(bad)
    path.write_text(f"{json.dumps(line())}\n\n{text}\n")
    with pytest.raises(ValueError, match=rf"x\.jsonl:3: .*{message}") as error:
        jsonl.read(path)
    assert "\n" not in str(error.value)


def test_lines_of_others_are_read(tmp_path):
    """Without a name or a pair, with other keys, with images elsewhere."""
    (tmp_path / "slice" / "t1").mkdir(parents=True)
    Image.new("L", (2, 2)).save(tmp_path / "slice" / "t1" / "a.png")
    one = line(image=["t1/a.png"], case_id="x", pair={"src": "t1", "tgt": "ct"}, slice_idx=4)
    two = line(image=["t1/a.png"], conversations=turns(("human", "Name it"), ("gpt", NAMED)))
    del two["id"]
    path = tmp_path / "x.jsonl"
    path.write_bytes(json.dumps(one).encode() + b"\r\n" + json.dumps(two).encode())
    first, second = jsonl.read(path, tmp_path / "slice")
    assert (first.pair, first.slice, first.prompt) == (("t1", "ct"), 4, "Which?")
    assert (second.id, second.reply, second.pair) == ("2", NAMED, None)
    with pytest.warns(UserWarning, match="several lines, such as 'x': rows"):
        path.write_text("\n".join([json.dumps(one)] * 2))
        jsonl.read(path, tmp_path / "slice")
    path.write_text(json.dumps({**one, "id": None}))
    assert jsonl.read(path, tmp_path / "slice")[0].id == "1"
    path.write_bytes(b"\n")
    with pytest.raises(ValueError, match="holds no line"):
        jsonl.read(path)
    with pytest.raises(
        ValueError, match=r"is a folder: name the file, such as .*understanding\.jsonl"
    ):
        jsonl.read(tmp_path)
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(ValueError, match=r"x\.jsonl:1: no JSON"):
        jsonl.read(path)
    with pytest.raises(ValueError, match="0 instances"):
        jsonl.write(tmp_path, tasks(), 0)


@pytest.mark.parametrize(
    ("output", "letter"),
    [
        ("D", "D"), (" b\n", "B"), ("The answer is (C).", "C"), ("A or B? It is D.", "D"),
        ("Because of CT", OTHER), ("", OTHER), ("E", OTHER), ("ABCD", OTHER), ("A_B", OTHER),
    ],
)  # fmt: skip
def test_the_last_letter_that_stands_alone_counts(output, letter):
    assert letter_in(output) == letter


@given(st.text(), st.sampled_from("ABCD"))
def test_a_letter_at_the_end_is_always_found(text, letter):
    assert letter_in(f"{text} {letter}") == letter
    assert letter_in(text) in ("A", "B", "C", "D", OTHER)
    assert isinstance(names_in(text), dict)


def asked(reply, pair=None):
    return jsonl.Line("", (), "", reply, pair)


def test_scores_by_hand():
    there, back = ("t1w", "ct"), ("ct", "t1w")
    lines = [asked("A", there), asked("B", there), asked("C", back), asked("D"), asked("D", back)]
    lines += [asked(NAMED)] * 3
    outputs = ["A", "it is a", "C", "none", "B then D"]
    outputs += [NAMED, 'so: {"A": "t1", "B": "MR", "C": "T2"}', "T1, CT, T2, T1"]
    found = score(lines, outputs)
    assert (found["count"], found["accuracy"]) == (5, 3 / 5)
    assert found["pairs"] == {
        "ct->t1w": {"count": 2, "accuracy": 1.0}, "t1w->ct": {"count": 2, "accuracy": 0.5},
    }  # fmt: skip
    assert found["confusion"]["B"] == {"A": 1, "B": 0, "C": 0, "D": 0, OTHER: 0}
    assert found["confusion"]["D"] == {"A": 0, "B": 0, "C": 0, "D": 1, OTHER: 1}
    assert found["panels"] == {"count": 12, "accuracy": 6 / 12, "all_right": 1 / 3}
    json.dumps(found)
    assert score([], [])["accuracy"] is None
    with pytest.raises(ValueError, match="8 instances and 7 outputs"):
        score(lines, outputs[1:])


def test_perfect_replies_score_one(written):
    _, path = written
    lines = jsonl.read(path)
    found = score(lines, [one.reply for one in lines])
    assert found["accuracy"] == 1.0 and found["panels"]["accuracy"] in (1.0, None)
    assert sum(row[letter] for letter, row in found["confusion"].items()) == found["count"]
