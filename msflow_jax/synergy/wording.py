"""The words of an instance whose images are drawn: question, options, which one is right."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from msflow_jax.data.split import Split
from msflow_jax.synergy import phrases
from msflow_jax.synergy.instances import INSTRUCTION, Instance, Route
from msflow_jax.synergy.pool import CANDIDATES, Pool
from msflow_jax.synergy.questions import choose_kind, facts_of


@dataclass(frozen=True)
class Wording:
    """How instances are put into words.

    Attributes:
        words: what each modality is called.
        described: routes that a description may name, at least four.
        held_out: whether phrasings are those that are kept from training.
    """

    words: tuple[str, ...]
    described: tuple[Route, ...]
    held_out: bool

    def asked(self, shown: Instance, rng: np.random.Generator) -> Instance:
        """An instance with the words of its own task."""
        pool = (phrases.SELECTION, phrases.IDENTIFICATION, phrases.INSTRUCTION)[shown.task]
        question = phrases.choose(pool, self.held_out, rng)
        if shown.task != INSTRUCTION:
            prompt = question.format(target=self.words[shown.modality[1]])
            return dataclasses.replace(shown, prompt=prompt)
        routes = self.descriptions(shown.modality[:2], shown.answer, rng)  # type: ignore[arg-type]
        options = tuple(self._description(*route, rng) for route in routes)
        prompt = phrases.asked(question, options)
        return dataclasses.replace(shown, prompt=prompt, options=options)

    def descriptions(self, route: Route, letter: int, rng: np.random.Generator) -> list[Route]:
        """Four routes to describe: the true one, its reverse, and two wrong pairs.

        The wrong ones are each other's reverse too, or the texts alone would tell that one of two is
        right. In place of a reverse that is withheld stands another wrong pair.

        Args:
            route: the true one.
            letter: where it stands.
            rng: source of chance.
        """
        others = [r for r in self.described if set(r) != set(route)]
        wrong = others[int(rng.integers(len(others)))]
        both = (route, route[::-1], wrong, wrong[::-1])
        chosen = [r for r in both if r == route or r in self.described]
        rest = [r for r in others if r not in chosen]
        while len(chosen) < CANDIDATES:
            chosen.append(rest.pop(int(rng.integers(len(rest)))))
        order = [chosen[1:][k] for k in rng.permutation(CANDIDATES - 1)]
        order.insert(letter, route)
        return order

    def _description(self, source: int, target: int, rng: np.random.Generator) -> str:
        text = phrases.choose(phrases.DESCRIPTIONS, self.held_out, rng)
        return text.format(source=self.words[source], target=self.words[target])

    def asked_alone(
        self,
        shown: Instance,
        split: Split,
        pool: Pool,
        names: Sequence[str],
        rng: np.random.Generator,
    ) -> Instance:
        """An instance that asks of one of its images, whatever the others are."""
        slots = [slot for slot, row in enumerate(shown.rows) if row >= 0]
        slot = slots[int(rng.integers(len(slots)))]
        facts = facts_of(split, pool, names[shown.modality[slot]], shown.rows[slot])
        kind = choose_kind(facts, rng)
        question = phrases.choose(phrases.QUESTIONS[kind], self.held_out, rng)
        order = rng.permutation(CANDIDATES).tolist()
        options = tuple(phrases.OPTIONS[kind][k] for k in order)
        prompt = phrases.asked(question.format(place=phrases.PLACES[slot]), options)
        right = order.index(facts[kind])
        return dataclasses.replace(shown, prompt=prompt, options=options, answer=right, asked=slot)
