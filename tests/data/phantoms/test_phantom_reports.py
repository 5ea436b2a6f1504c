"""Reports of phantoms: every fact is recovered from every phrasing, and is what an image shows."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.data.phantoms import facts, reports, volumes
from msflow_jax.data.phantoms.facts import LOBES, NONE, SIDES, VENTRICLES, Facts
from msflow_jax.data.phantoms.lesions import Lesions
from msflow_jax.data.phantoms.subjects import CENTRE, GRADES, Subject, draw_subject


class Given:
    """Chooses the phrasings that it was told, in the place of a random generator."""

    def __init__(self, numbers):
        self._numbers = iter(numbers)

    def integers(self, end):
        return next(self._numbers) % end


def some_facts():
    common = dict(
        grade=st.sampled_from(GRADES), ventricles=st.sampled_from(list(VENTRICLES)),
        skull=st.integers(3, 12), breadth=st.integers(100, 220),
    )  # fmt: skip
    healthy = st.builds(
        Facts, lesions=st.just(0), largest=st.just(0), side=st.just(NONE),
        largest_side=st.just(NONE), largest_lobe=st.just(NONE), **common,
    )  # fmt: skip
    ill = st.builds(
        Facts, lesions=st.integers(1, 60), largest=st.integers(1, 150), side=st.sampled_from(SIDES),
        largest_side=st.sampled_from(SIDES[:2]), largest_lobe=st.sampled_from(LOBES), **common,
    )  # fmt: skip
    return st.one_of(healthy, ill)


phrasings = st.lists(st.integers(0, 5), min_size=7, max_size=7)


@settings(max_examples=150)
@given(some_facts(), phrasings)
def test_every_fact_is_recovered_from_every_text(known, numbers):
    assert reports.parse(reports.write(known, Given(numbers))) == known


@settings(max_examples=100)
@given(some_facts(), some_facts(), phrasings, phrasings)
def test_no_two_facts_give_the_same_text(one, other, first, second):
    texts = reports.write(one, Given(first)), reports.write(other, Given(second))
    assert one == other or texts[0] != texts[1]


def test_every_phrasing_of_every_statement_has_one_reading():
    assert all(len(set(texts)) >= 6 for texts in reports.TEMPLATES.values())
    known = Facts(7, 15, "both", "left", "frontal", "mild", "normal", 6, 150)
    for number in range(6):
        sentences = reports.write(known, Given([number] * 7)).split(". ")
        assert len(sentences) == 7
    for texts in itertools.combinations(reports.TEMPLATES.values(), 2):
        assert not set(texts[0]) & set(texts[1])


def test_order_of_sentences_does_not_matter():
    known = Facts(1, 9, "left", "left", "deep", "none", "wide", 5, 161)
    text = reports.write(known, np.random.default_rng(0))
    backwards = " ".join(f"{one.strip('. ')}." for one in reversed(text.split(". ")))
    assert backwards != text and reports.parse(backwards) == known


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("13 lesions", "many lesions"), "0 readings of the sentence"),
        (("medium", "small"), "contradict"),
        (("13 lesions", "no lesions"), "contradict"),
        (("Impression: moderate disease.", ""), "nothing on 'grade'"),
        (("Wide ventricles.", "Wide ventricles. Narrow ventricles."), "ventricles stated twice"),
    ],
)
def test_texts_that_are_no_reports(change, words):
    text = (
        "White matter with 13 lesions. Affected: both hemispheres. The biggest focus is medium with "
        "23 mm. It is found deep in the left hemisphere. Wide ventricles. The skull is 161 mm wide "
        "and 6 mm thick. Impression: moderate disease."
    )
    assert reports.parse(text).largest == 23
    with pytest.raises(ValueError, match=words):
        reports.parse(text.replace(*change))


def with_lesions(subject, centres, radius=6.0):
    count = len(centres)
    balls = Lesions(
        np.array(centres, float).reshape(count, 3),
        np.array([np.eye(3) / radius] * count),
        np.ones(count),
    )
    return Subject(**{**vars(subject), "lesions": balls})


def test_sides_are_the_patients_and_agree_with_the_image(head):
    for number, x in ((1, -26), (2, 26), (5, -26)):
        subject = draw_subject(np.random.default_rng((0, number)), head, 4)
        subject = with_lesions(subject, [(x, -20, 34)])
        side = facts.facts_of(head, subject).side
        lesion = volumes.content(head, subject, 16)[..., -1]
        # The patient's left is on the right of the image.
        assert side == ("left" if lesion[..., 8:].sum() > 10 * lesion[..., :8].sum() else "right")
        assert side == ("left" if x < 0 else "right")


def test_lesions_that_touch_are_one(head):
    subject = draw_subject(np.random.default_rng((0, 1)), head, 4)
    pairs = with_lesions(subject, [(-26, -20, 34), (-26, -10, 34), (26, -20, 34)])
    found = facts.facts_of(head, pairs)
    scale = np.linalg.det(subject.pose) ** (-1 / 3)
    assert (found.lesions, found.side, found.largest_side) == (2, "both", "left")
    assert found.largest == round((10 + 2 * 6) * scale)
    apart = facts.facts_of(head, with_lesions(subject, [(-26, -20, 34), (-26, -7, 34)]))
    assert (apart.lesions, apart.side, apart.largest) == (2, "left", round(12 * scale))


def test_no_lesions(head):
    subject = with_lesions(draw_subject(np.random.default_rng((0, 1)), head, 4), [])
    found = facts.facts_of(head, subject)
    assert (found.lesions, found.largest, found.side, found.size) == (0, 0, NONE, NONE)
    assert "no lesions" in reports.write(found, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ((-35, 40, 20), "frontal"), ((40, -50, 40), "parietal"), ((-45, -25, -2), "temporal"),
        ((25, -80, 10), "occipital"), ((15, 5, 10), "deep"), ((-20, -45, 60), "parietal"),
        ((-20, 0, 55), "frontal"),
    ],
)  # fmt: skip
def test_lobes(place, name):
    assert facts.lobe(*place) == name


def test_breadth_and_thickness_are_of_the_skull(head):
    subject = draw_subject(np.random.default_rng((0, 4)), head, 4)
    found = facts.facts_of(head, subject)
    bone = volumes.content(head, subject, 80)[..., 3]
    widest = max(
        np.ptp(np.flatnonzero(row > 0.5)) + 1 for row in bone[25:55, 40] if (row > 0.5).any()
    )
    assert widest * 236 / 80 == pytest.approx(found.breadth, abs=8)
    assert 4 <= found.skull <= 9
    straight = Subject(
        **{**vars(subject), "pose": np.diag([0.9, 1, 1]), "swings": np.zeros((6, 3))}
    )
    wider = facts.facts_of(head, straight).breadth
    even = Subject(**{**vars(straight), "pose": np.eye(3), "shift": np.zeros(3)})
    assert wider == pytest.approx(facts.facts_of(head, even).breadth / 0.9, abs=2)
    assert abs(CENTRE[0]) < 1


def test_facts_vary(head):
    found = [
        facts.facts_of(head, draw_subject(np.random.default_rng((0, k)), head, 4))
        for k in range(40)
    ]
    for name in ("side", "largest_lobe", "grade", "ventricles", "skull", "size"):
        assert len({getattr(one, name) for one in found}) >= 3, name
    assert len({one.breadth for one in found}) > 10


def test_facts_as_classes():
    truth = {
        "fact_lesions": np.array([0, 1, 3]), "fact_side": np.array([NONE, "left", "both"]),
        "fact_largest": np.array([0, 11, 12]), "fact_largest_lobe": np.array([NONE, "deep", "frontal"]),
        "fact_ventricles": np.array(["wide"] * 3), "fact_skull": np.array([5, 6, 7]),
        "fact_breadth": np.array([100, 150, 200]),
    }  # fmt: skip
    found = facts.labels_of(truth, {**truth, "fact_skull": np.arange(10)})
    assert found["presence"].tolist() == [NONE, "lesion", "lesion"]
    assert found["size"].tolist() == [NONE, "small", "medium"]
    assert found["breadth"].tolist() == [0, 1, 2] and found["skull"].tolist() == [1, 1, 2]
    with pytest.raises(ValueError, match="no column fact_lesions: facts are known of phantom"):
        facts.labels_of({"age": np.zeros(3)}, {})
