"""Grey values of tissues under magnetic resonance sequences, from relaxation times.

Relaxation times at 1.5 T and proton densities are those of the BrainWeb simulator (Kwan, Evans and
Pike, IEEE Transactions on Medical Imaging 18(11), 1999); bone is a rough value for its few mobile
protons. ``lesion`` is BrainWeb's multiple-sclerosis lesion, ``scalp`` is its fat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WHITE = 1000.0  # what a scanner stores for what is shown white, at a gain of 1
HIGHEST = 4095  # of 12 bits
GAIN_SPREAD = 0.2  # standard deviation of the logarithm of the gain over examinations
TISSUES = ("csf", "grey", "white", "bone", "scalp", "lesion")

# One row a tissue: T1 in ms, T2 in ms, proton density relative to water.
RELAXATION = np.array(
    [
        [2569.0, 329.0, 1.00],
        [833.0, 83.0, 0.86],
        [500.0, 70.0, 0.77],
        [400.0, 20.0, 0.10],
        [350.0, 70.0, 1.00],
        [752.0, 237.0, 0.76],
    ]
)


@dataclass(frozen=True)
class Sequence:
    """A spin echo, or with ``inversion`` an inversion-recovery spin echo; times in ms."""

    repetition: float
    echo: float
    inversion: float | None = None


# An inversion time of T1 ln(2 / (1 + exp(-TR / T1))) nulls a tissue. For this table: the fluid's in
# FLAIR, 1704 ms, and in T1-weighted inversion recovery (t1ir), 810 ms; the scalp's fat in STIR, 243 ms.
SEQUENCES = {
    "t1w": Sequence(repetition=500.0, echo=15.0),
    "t2w": Sequence(repetition=3000.0, echo=100.0),
    "pdw": Sequence(repetition=3000.0, echo=30.0),
    "flair": Sequence(repetition=9000.0, echo=120.0, inversion=1704.0),
    "t1ir": Sequence(repetition=2000.0, echo=15.0, inversion=810.0),
    "stir": Sequence(repetition=4000.0, echo=30.0, inversion=243.0),
}


def signal(relaxation: np.ndarray, sequence: Sequence) -> np.ndarray:
    """Returns the signal of tissues, in units of fully relaxed water.

    Spin echo ``PD (1 - exp(-TR/T1)) exp(-TE/T2)``; inversion recovery, magnitude,
    ``PD |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2)``.

    Args:
        relaxation: ``[..., 3]``: T1 and T2 in ms, proton density.
        sequence: times of the pulse sequence in ms.

    Returns:
        ``[...]``, not negative.
    """
    t1, t2, density = np.moveaxis(relaxation, -1, 0)
    recovered = np.exp(-sequence.repetition / t1)
    if sequence.inversion is None:
        longitudinal = 1 - recovered
    else:
        longitudinal = np.abs(1 - 2 * np.exp(-sequence.inversion / t1) + recovered)
    return density * longitudinal * np.exp(-sequence.echo / t2)


def brightest(sequence: Sequence, relaxation: np.ndarray = RELAXATION) -> float:
    """Returns the signal that is shown as white: the brightest of the tissues' ``[tissues, 3]``."""
    return float(signal(relaxation, sequence).max())


def grey_levels(shown: np.ndarray) -> np.ndarray:
    """What is shown, 1 as white, as uint8 0..255; brighter is white too."""
    return np.clip(np.rint(255 * shown), 0, 255).astype(np.uint8)


def scanner_units(shown: np.ndarray, gain: float) -> np.ndarray:
    """What is shown, 1 as white, as a scanner stores it: int16 in no unit, 0 to ``HIGHEST``.

    White is ``WHITE`` times the gain of the examination, since a scanner chooses its amplification for
    each patient.
    """
    return np.clip(np.rint(WHITE * gain * shown), 0, HIGHEST).astype(np.int16)


def draw_gain(rng: np.random.Generator) -> float:
    """The gain of one examination: 1 in the median, and within a factor of 1.5 of it mostly."""
    return float(np.exp(rng.normal(0.0, GAIN_SPREAD)))


def rician(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Adds receiver noise to a magnitude image: Gaussian in both channels, then the magnitude.

    Gudbjartsson and Patz, Magnetic Resonance in Medicine 34, 1995.

    Args:
        image: noise-free magnitudes.
        sigma: standard deviation in one channel.
        rng: source of randomness.
    """
    real, imaginary = rng.normal(0.0, sigma, (2, *image.shape))
    return np.hypot(image + real, imaginary)
