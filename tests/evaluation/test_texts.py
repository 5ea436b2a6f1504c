"""Facts and words of reports, and recall in a common space."""

import numpy as np
import pytest

from msflow_jax.data.phantoms.reports import stated
from msflow_jax.evaluation.retrieval import recall
from msflow_jax.evaluation.texts import agreement, fact_scores, usual_facts, word_scores

TRUE = [{"side": "left", "size": "small"}, {"side": "right"}]


def test_facts_that_are_right_wrong_missing_and_made_up():
    found = [{"side": "left", "grade": "mild"}, {"side": "left"}]
    scores = fact_scores(found, TRUE)
    assert scores["precision"]["value"] == pytest.approx(1 / 3)
    assert scores["recall"]["value"] == pytest.approx(1 / 3)
    assert scores["f1"]["value"] == pytest.approx(1 / 3)
    assert scores["exact"]["value"] == 0
    assert scores["by_field"] == {"side": 0.5, "size": 0.0}
    perfect = fact_scores(TRUE, TRUE)
    assert perfect["f1"]["value"] == perfect["exact"]["value"] == 1
    silent = fact_scores([{}, {}], TRUE)
    assert silent["f1"]["value"] == silent["recall"]["value"] == 0
    assert silent["precision"] == {"value": None, "interval": None}  # nothing to be right about


def test_draws_that_agree():
    assert agreement([TRUE, TRUE]).tolist() == [1, 1]
    assert agreement([TRUE, TRUE[::-1]]).tolist() == [0, 0]
    assert np.isnan(agreement([TRUE])).all()


def test_draws_that_state_nothing_agree_in_nothing():
    """Reports in other words than the phantoms' agreed in full, and all of their facts were right."""
    found = agreement([[{}, {}], [{}, TRUE[1]]])
    assert np.isnan(found[0]) and found[1] == 0


def test_usual_facts_are_what_most_say():
    known = [{"side": "left", "size": "small"}, {"side": "left"}, {"side": "right"}]
    assert usual_facts(known) == {"side": "left"}
    assert usual_facts([{}]) == {}


def test_what_can_be_understood_is():
    text = "There are two lesions in the white matter. Nonsense here. The ventricles are wide."
    assert stated(text) == {"lesions": "two lesions", "ventricles": "wide"}
    assert stated("") == {}


def test_a_flipped_side_and_a_negation_fool_words_but_not_facts():
    true = "There are two lesions in the white matter. Affected: the left hemisphere."
    flipped = true.replace("left", "right")
    pytest.importorskip("sacrebleu")
    words = word_scores([flipped], [true])
    assert words["bleu_1"] > 0.9
    facts = fact_scores([stated(flipped)], [stated(true)])
    assert facts["f1"]["value"] == 0.5
    negated = fact_scores([stated(true.replace("two", "no"))], [stated(true)])
    assert negated["f1"]["value"] == 0.5


def test_equal_words_are_perfect():
    for package in ("sacrebleu", "rouge_score", "nltk"):
        pytest.importorskip(package)
    text = "The ventricles are wide and the skull is thick today."
    found = word_scores([text], [text])
    assert found["bleu_4"] == pytest.approx(1) and found["rouge_l"] == pytest.approx(1)
    assert found["meteor_exact_stem"] > 0.99
    other = word_scores(["Nothing of this kind."], [text])
    assert other["rouge_l"] < 0.3


REPORTS = [
    ("Очаг в левой лобной доле.", "Патологии не выявлено."),
    ("左肺下叶见结节影,直径约12毫米。", "心影增大,胸腔积液12毫升。"),
    ("左肺に結節を認める。", "胸水はありません。"),
    ("फेफड़े में गाँठ है।", "कोई रोग नहीं मिला।"),
    ("พบก้อนที่ปอดซ้าย", "ไม่พบความผิดปกติ"),
    ("Größere Läsion links.", "Kein Erguß, Herz normal."),
]


@pytest.mark.parametrize("true, other", REPORTS)
def test_reports_of_any_script_are_compared_by_their_words(true, other):
    """All but ASCII was dropped, so that numbers alone counted, and a Chinese sentence was one word."""
    for package in ("sacrebleu", "rouge_score", "nltk"):
        pytest.importorskip(package)
    same, wrong = word_scores([true], [true]), word_scores([other], [true])
    assert same["rouge_l"] == pytest.approx(1) and wrong["rouge_l"] < 0.5
    assert same["meteor_exact_stem"] > 0.9 > wrong["meteor_exact_stem"]
    if len(true.split()) == 1 or true.isascii():
        assert same["bleu_4"] == pytest.approx(1) and wrong["bleu_4"] < 0.3
    if "ß" not in true:  # which is SS
        assert word_scores([true.upper()], [true])["rouge_l"] == pytest.approx(1)


def test_words_of_english_are_those_of_the_package():
    tokenizers = pytest.importorskip("rouge_score.tokenizers")
    from msflow_jax.evaluation.texts import _Words

    text = (
        "T2-weighted: 3.5 mm (left_lobe), Patient's  lesions\n\tare W.H.O. grade-II; no_1 -> 12 %."
    )
    assert _Words().tokenize(text) == tokenizers.DefaultTokenizer().tokenize(text)
    assert _Words().tokenize("ﬁne cafe\u0301") == ["ﬁne", "café"]


def test_a_perfect_encoder_finds_all_where_reports_are_equal():
    """60 of 100 subjects have one report: it found one of 60 images, and was wrong with the others."""
    reports, images = np.r_[np.zeros(60, int), np.arange(1, 41)], np.arange(100)
    vectors, order = np.eye(41)[reports], np.random.default_rng(0).permutation(100)
    for rows in (images, order):
        x = vectors[rows]
        found = recall(x, x, images[rows, None], reports[rows, None])
        for way in ("forward", "backward"):
            for name in ("recall_1", "recall_5", "auroc"):
                assert found[way][name]["value"] == 1, (way, name)
            assert found[way]["chance"] == pytest.approx((60 * 60 + 40) / 100**2)


def test_recall_counts_equal_partners():
    a = np.eye(4)
    content = np.array([[0], [1], [2], [3]])
    found = recall(a, a, content, content)
    assert found["forward"]["recall_1"]["value"] == 1 and found["forward"]["chance"] == 0.25
    wrong = recall(a, a[[1, 0, 2, 3]], content, content)
    assert wrong["forward"]["recall_1"]["value"] == 0.5
    # Two of the four have one of three wrong partners before the right one.
    assert wrong["forward"]["auroc"]["value"] == pytest.approx(5 / 6)
    assert found["backward"]["auroc"]["value"] == 1
    same = np.array([[0], [0], [2], [3]])
    for one, other in (
        (same, content),
        (content, same),
    ):  # right both ways, whichever side is equal
        found = recall(a, a[[1, 0, 2, 3]], one, other)
        for way in ("forward", "backward"):
            assert found[way]["recall_1"]["value"] == 1 and found[way]["chance"] == 6 / 16
    assert recall(a, a[[1, 0, 2, 3]], same, same)["forward"]["recall_1"]["value"] == 1
