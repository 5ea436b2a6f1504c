"""How near the drawn images of every route are to the true ones, beside what needs no model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msflow_jax.reports.page import number
from msflow_jax.storage.text import listed

# What an evaluation calls it, and what it is called in a sentence.
_WITHOUT_MODEL = {
    "identity": "unchanged image", "mean image": "mean training image", "tone curve": "tone curve",
}  # fmt: skip


@dataclass(frozen=True)
class RouteScore:
    """One route of an evaluation.

    Attributes:
        source: modality that is given.
        target: modality that is drawn.
        psnr: of the mean of all draws, in dB.
        simple: the same of what needs no model, in dB, by its words.
    """

    source: str
    target: str
    psnr: float
    simple: Mapping[str, float]

    @property
    def name(self) -> str:
        """The route in words."""
        return f"{self.source} to {self.target}"

    @property
    def beside(self) -> str:
        """What the score is to be compared with, in words; empty where nothing was measured."""
        return ", ".join(f"{words} {number(psnr, 1)}" for words, psnr in self.simple.items())

    @property
    def alarm(self) -> str:
        """A sentence where the model does worse than what needs none; empty where it does not."""
        above = [
            f"the {words} ({number(psnr, 1)} dB)"
            for words, psnr in self.simple.items()
            if psnr >= self.psnr
        ]
        if not above:
            return ""
        return (
            f"{self.name}: worse than {listed(above)}: the mean of the draws has a PSNR of "
            f"{number(self.psnr, 1)} dB."
        )


def scores_of(found: Mapping[str, Any]) -> list[RouteScore]:
    """The routes of a block ``translation``, as far as they were measured.

    Args:
        found: the block, of this version or an older one; empty where there is none.
    """
    scores = []
    for route in found.get("routes") or ():
        rows = route.get("rows") or {}
        own = next((_psnr(row) for name, row in rows.items() if name.startswith("mean of ")), None)
        if own is None:
            continue
        simple = {words: _psnr(rows.get(name) or {}) for name, words in _WITHOUT_MODEL.items()}
        known = {words: psnr for words, psnr in simple.items() if psnr is not None}
        scores.append(RouteScore(route["source"], route["target"], own, known))
    return scores


def blank_of(found: Mapping[str, Any], images: int) -> str:
    """Words on images that no mean counts; empty where all count.

    Args:
        found: what was measured, of this version or an older one, which says nothing of them.
        images: how many there were.
    """
    if not (count := found.get("blank") or 0):
        return ""
    which = f"{count:,}" if count < images else "all"
    return (
        f"of {images:,} images {which} {'is' if which == '1' else 'are'} blank in source and target (no "
        "pixel brighter than 12 of 255) and left out"
    )


def unmeasured(found: Mapping[str, Any]) -> list[str]:
    """A sentence for each route of a block ``translation`` of which every image is blank."""
    return [
        f"{one['source']} to {one['target']}: not measured: {blank_of(one, one['examples'])}."
        for one in found.get("routes") or ()
        if one.get("blank") and one["blank"] == one["examples"]
    ]


def _psnr(row: Mapping[str, Any]) -> float | None:
    value = (row.get("psnr") or {}).get("value")
    return None if value is None else float(value)
