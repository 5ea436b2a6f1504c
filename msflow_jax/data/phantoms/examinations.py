"""All that is known of one phantom: every modality of its head, its report, and what is true of it."""

from __future__ import annotations

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.phantoms import anatomy, reports, tomography, volumes
from msflow_jax.data.phantoms.caching import TRUTH, Arrays, make_all
from msflow_jax.data.phantoms.facts import facts_of
from msflow_jax.data.phantoms.signals import SEQUENCES, draw_gain, grey_levels, scanner_units
from msflow_jax.data.phantoms.subjects import draw_subject
from msflow_jax.data.phantoms.tasks import (
    GAINS,
    REPORTS,
    SIGNALS,
    TOMOGRAPHY,
    grade_of,
    tissue_map,
)

CT, XRAY, REPORT = "ct", "xray", "report"
MODALITIES = (*SEQUENCES, CT, XRAY)


def examine_all(settings: ConfigDict, seed: int, side: int, stored: bool = False) -> Arrays:
    """Every subject, see ``examine``."""
    head = anatomy.load_whole(side)
    return make_all(
        lambda number: examine(head, number, seed, side, settings, stored),
        settings.subjects, "Making phantoms", 16,
    )  # fmt: skip


def examine(
    head: anatomy.Anatomy,
    number: int,
    seed: int,
    side: int,
    settings: ConfigDict,
    stored: bool = False,
) -> Arrays:
    """One subject, as arrays of length 1.

    Returns:
        By modality ``[1, S, S, S, 1]``, MR uint8 and CT int16 in Hounsfield units, X-ray uint8
        ``[1, S, S, 1]``; label, map, and what is true as ``truth.NAME``. Where MR is wanted as it is
        ``stored``, it is int16 as ``signals.scanner_units``, with one gain for all contrasts.
    """
    subject = draw_subject(np.random.default_rng((seed, number)), head, settings.slices)
    content = volumes.content(head, subject, side)
    gain = draw_gain(np.random.default_rng((seed, number, GAINS)))
    found: Arrays = {}
    for i, name in enumerate(SEQUENCES):
        rng = np.random.default_rng((seed, number, SIGNALS, i))
        image = volumes.magnitudes(content, subject, name, rng, settings.noise, settings.bias)
        values = scanner_units(image, gain) if stored else grey_levels(image)
        found[name] = values[None, ..., None]
    rng = np.random.default_rng((seed, number, TOMOGRAPHY))
    clean = tomography.hounsfield(content, rng)
    found[CT] = tomography.scan(clean, settings.noise, rng)[None, ..., None]
    xray = tomography.radiograph(clean, settings.view, settings.noise, rng)
    found[XRAY] = xray[None, ..., None]
    facts = facts_of(head, subject)
    report = reports.write(facts, np.random.default_rng((seed, number, REPORTS)))
    known = {
        "severity": subject.severity, "grade": grade_of(subject),
        "lesion_volume": volumes.lesion_volume(content), "subject": number, REPORT: report,
        **reports.columns(facts),
    }  # fmt: skip
    return {
        **found,
        "label": np.array([grade_of(subject)], np.int32),
        "map": tissue_map(content)[None],
        **{f"{TRUTH}{name}": np.array([value]) for name, value in known.items()},
    }
