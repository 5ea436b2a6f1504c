"""How near drawn reports are to the true ones: facts first, then words."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.bootstrap import bootstrap_intervals
from msflow_jax.evaluation.ratios import number_of, weighted_mean, weighted_ratio

Facts = Mapping[str, str]
# Scripts without blanks between words: Thai and Lao, Burmese, Khmer, kana, Chinese characters.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff])"
)


def fact_scores(
    found: Sequence[Facts],
    true: Sequence[Facts],
    groups: Sequence[Any] | None = None,
) -> dict[str, Any]:
    """Precision, recall and F1 of stated facts, and the share of reports with exactly the true ones.

    Args:
        found: fields and their words of each drawn report.
        true: the same of the true reports.
        groups: subject of each, for the intervals.

    Returns:
        ``f1``, ``precision``, ``recall``, ``exact`` with intervals, None where there is nothing to count
        (as the precision of reports that state nothing), and ``by_field``: the share of the
        true reports with a field in which it is right.
    """
    right = np.array(
        [sum(t.get(k) == v for k, v in f.items()) for f, t in zip(found, true, strict=True)]
    )
    said = np.array([len(f) for f in found])
    there = np.array([len(t) for t in true])
    exact = np.array([f == t for f, t in zip(found, true, strict=True)], float)

    metrics = {
        "f1": weighted_ratio(2 * right, said + there), "precision": weighted_ratio(right, said),
        "recall": weighted_ratio(right, there), "exact": weighted_mean(exact),
    }  # fmt: skip
    intervals = bootstrap_intervals(metrics, len(right), groups=groups)
    ones = np.ones((1, len(right)))
    fields = sorted({field for one in true for field in one})
    by_field = {}
    for field in fields:
        pairs = [(f.get(field), t[field]) for f, t in zip(found, true, strict=True) if field in t]
        by_field[field] = float(np.mean([a == b for a, b in pairs]))
    values = {
        name: {"value": number_of(metric(ones)[0]), "interval": intervals[name]}
        for name, metric in metrics.items()
    }
    return {**values, "by_field": by_field}


def usual_facts(known: Sequence[Facts]) -> dict[str, str]:
    """Of every fact what most reports say of it, left out where most say nothing: a constant answer."""
    fields = sorted({field for one in known for field in one})
    most = {k: Counter(one.get(k) for one in known).most_common(1)[0][0] for k in fields}
    return {field: value for field, value in most.items() if value is not None}


def agreement(draws: Sequence[Sequence[Facts]]) -> np.ndarray:
    """How much several draws of each report agree, ``[N]`` in [0, 1]: the mean F1 of pairs of draws.

    NaN of a single draw, and where no draw states any fact: those agree in nothing that is known.

    Args:
        draws: for each draw the facts of every report.
    """
    count, some = len(draws), np.array([any(one) for one in zip(*draws, strict=True)])
    if count < 2:
        return np.full(len(draws[0]), np.nan)
    total = np.where(some, 0.0, np.nan)
    for i in range(count):
        for j in range(i):
            for k, (a, b) in enumerate(zip(draws[i], draws[j], strict=True)):
                both = sum(b.get(key) == value for key, value in a.items())
                total[k] += 2 * both / (len(a) + len(b)) if a or b else 1.0
    return total / (count * (count - 1) / 2)


def word_scores(found: Sequence[str], true: Sequence[str]) -> dict[str, Any]:
    """BLEU-1 to 4, ROUGE-L and METEOR of texts, by named packages; those that are missing are undefined.

    BLEU of the corpus by ``sacrebleu`` with its tokeniser 13a; ROUGE-L is the F measure of
    ``rouge-score`` without stemming, of words of any script; METEOR is that of ``nltk`` with exact and
    stemmed matches alone, since its synonyms need WordNet, which is not installed with it. Of scripts
    without blanks between words, as Chinese and Japanese, each character is a word.
    """
    found, true = ([_UNSPACED.sub(r" \1 ", text) for text in texts] for texts in (found, true))
    scores: dict[str, Any] = {}
    undefined: dict[str, str] = {}
    for name, measure in (("bleu", _bleu), ("rouge_l", _rouge), ("meteor_exact_stem", _meteor)):
        try:
            scores |= measure(found, true)
        except ImportError as error:
            undefined[name] = f"{error}: pip install 'msflow_jax[text]'"
    return {**scores, **({"undefined": undefined} if undefined else {})}


def _bleu(found: Sequence[str], true: Sequence[str]) -> dict[str, float]:
    from sacrebleu.metrics.bleu import BLEU

    return {
        f"bleu_{n}": BLEU(max_ngram_order=n).corpus_score(list(found), [list(true)]).score / 100
        for n in (1, 2, 3, 4)
    }


def _rouge(found: Sequence[str], true: Sequence[str]) -> dict[str, float]:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], tokenizer=_Words())
    pairs = zip(true, found, strict=True)
    return {"rouge_l": float(np.mean([scorer.score(a, b)["rougeL"].fmeasure for a, b in pairs]))}


class _Words:
    """Words of any script in lower case; the tokeniser of rouge-score keeps ASCII alone."""

    def tokenize(self, text: str) -> list[str]:
        whole = unicodedata.normalize("NFC", text.lower())
        # A mark belongs to its letter: vowels of Hindi are such, and no letters to Python.
        kept = (c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in whole)
        return "".join(kept).split()


def _meteor(found: Sequence[str], true: Sequence[str]) -> dict[str, float]:
    from nltk.tokenize import wordpunct_tokenize
    from nltk.translate.meteor_score import meteor_score

    def words(text: str) -> list[str]:
        return list(wordpunct_tokenize(text.lower()))

    pairs = zip(true, found, strict=True)
    scores = [meteor_score([words(a)], words(b), wordnet=_NoSynonyms()) for a, b in pairs]
    return {"meteor_exact_stem": float(np.mean(scores))}


class _NoSynonyms:
    """Stands for WordNet: no word has another one of its meaning."""

    def synsets(self, word: str) -> list[Any]:
        return []
