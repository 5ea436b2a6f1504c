"""Sections by the names under which an evaluation keeps its blocks."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from msflow_jax.reports.classification import classification_section
from msflow_jax.reports.explanation import explanation_section
from msflow_jax.reports.few_steps import few_steps_section
from msflow_jax.reports.general import generic_section
from msflow_jax.reports.generation import generation_section
from msflow_jax.reports.likelihood import likelihood_section
from msflow_jax.reports.outside import outside_section
from msflow_jax.reports.page import Section
from msflow_jax.reports.paths import paths_section
from msflow_jax.reports.privacy import privacy_section
from msflow_jax.reports.results import Results
from msflow_jax.reports.segmentation import segmentation_section
from msflow_jax.reports.sets import sets_section
from msflow_jax.reports.temperatures import temperatures_section
from msflow_jax.reports.translation import (
    facts_section,
    partners_section,
    retrieval_section,
    texts_section,
    translation_section,
)
from msflow_jax.reports.understanding import understanding_section

Renderer = Callable[[Results], Section | None]


def within_classification(name: str) -> Renderer:
    """A block that the section on classification shows; without that one it stands on its own."""

    def show(results: Results) -> Section | None:
        shown = "classification" in results.sections and results.part("classification")
        return None if shown else generic_section(results, name)

    return show


SECTIONS: Mapping[str, Renderer] = MappingProxyType(
    {
        "classification": classification_section,
        "calibration": within_classification("calibration"),
        "abstain": within_classification("abstain"),
        "segmentation": segmentation_section,
        "sets": sets_section,
        "outside": outside_section,
        "generation": generation_section,
        "privacy": privacy_section,
        "few_steps": few_steps_section,
        "likelihood": likelihood_section,
        "explanation": explanation_section,
        "temperatures": temperatures_section,
        "paths": paths_section,
        "understanding": understanding_section,
        "translation": translation_section,
        "partners": partners_section,
        "retrieval": retrieval_section,
        "texts": texts_section,
        "facts": facts_section,
    }
)


def named_section(results: Results, name: str) -> Section | None:
    """The section of a block of evaluation.json; a name that is not in ``SECTIONS`` is shown plainly."""
    if name in SECTIONS:
        return SECTIONS[name](results)
    return generic_section(results, name)
