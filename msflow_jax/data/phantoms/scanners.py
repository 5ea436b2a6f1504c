"""Simulated magnetic resonance scanners: what a machine makes of a slice.

Seven machines, none of them a real one. They differ in field strength, in the times of their
sequence, in point spread, noise, coil, ghost and display. D and E are nearly alike, and so are F and
G: two installations of one model. Each subject meets a machine in a slightly different state
(``Scanner.varied``), so that which of two alike machines made a slice is really uncertain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from msflow_jax.data.phantoms.signals import RELAXATION, SEQUENCES, brightest, signal
from msflow_jax.data.splitting import PATTERN

# T1 grows with the field as a power of it: exponents of grey and white matter and none for fluid from
# Rooney et al., Magnetic Resonance in Medicine 57, 2007; a lesion as grey matter. Fat and bone, which
# change little, are left as they are, and so is T2. In the order of ``signals.TISSUES``.
FIELD_EXPONENTS = np.array([0.0, 0.376, 0.382, 0.0, 0.0, 0.376])
TABLE_TESLA = 1.5  # the field that ``signals.RELAXATION`` holds for


@dataclass(frozen=True)
class Scanner:
    """A machine's properties; the default one changes nothing.

    Attributes:
        tesla: field strength in tesla.
        repetition: factor on the sequence's repetition time.
        echo: factor on its echo time.
        spread: full width at half maximum of the point spread in mm, downwards and sideways.
        noise: factor on the noise.
        coil: where the receiving coil is most sensitive, in mm down and right of the middle.
        reach: standard deviation in mm of its Gaussian sensitivity.
        ghost: phase in radians between even and odd lines of k-space.
        gain: factor on the grey values shown.
        gamma: exponent of the grey values shown.
    """

    tesla: float = TABLE_TESLA
    repetition: float = 1.0
    echo: float = 1.0
    spread: tuple[float, float] = (0.0, 0.0)
    noise: float = 1.0
    coil: tuple[float, float] = (0.0, 0.0)
    reach: float = math.inf
    ghost: float = 0.0
    gain: float = 1.0
    gamma: float = 1.0

    def varied(self, rng: np.random.Generator) -> Scanner:
        """Returns the machine in the state in which one subject meets it."""

        def jitter(value: float, spread: float) -> float:
            return value * math.exp(rng.normal(0, spread))

        return replace(
            self,
            repetition=jitter(self.repetition, 0.03),
            echo=jitter(self.echo, 0.03),
            spread=(jitter(self.spread[0], 0.1), jitter(self.spread[1], 0.1)),
            noise=jitter(self.noise, 0.08),
            reach=jitter(self.reach, 0.05),
            ghost=jitter(self.ghost, 0.2),
            gain=jitter(self.gain, 0.03),
            gamma=jitter(self.gamma, 0.03),
            coil=(self.coil[0] + rng.normal(0, 10.0), self.coil[1] + rng.normal(0, 10.0)),
        )

    def apply_sequence(
        self, content: np.ndarray, relaxation: np.ndarray, contrasts: np.ndarray
    ) -> np.ndarray:
        """Returns the signal of slices, 1 where the brightest tissue fills a pixel: ``[N, S, S]``.

        Args:
            content: what each pixel holds, ``[N, S, S, tissues]``.
            relaxation: relaxation times at 1.5 T of the subject's tissues, ``[tissues, 3]``.
            contrasts: ``[N]`` names in ``SEQUENCES``. Their inversion times hold for the table's tissues
                and repetition times; a machine off these nulls a little less well.
        """
        clean = np.empty(content.shape[:-1])
        for name in np.unique(contrasts):
            nominal, mine = SEQUENCES[name], contrasts == name
            sequence = replace(
                nominal,
                repetition=nominal.repetition * self.repetition,
                echo=nominal.echo * self.echo,
            )
            values = signal(self._in_field(relaxation), sequence)
            clean[mine] = content[mine] @ values / brightest(sequence, self._in_field(RELAXATION))
        return clean

    def _in_field(self, relaxation: np.ndarray) -> np.ndarray:
        """Relaxation times ``[tissues, 3]`` at 1.5 T as they are in this machine's field."""
        moved = relaxation.copy()
        moved[:, 0] *= (self.tesla / TABLE_TESLA) ** FIELD_EXPONENTS
        return moved

    def apply_coil(self, images: np.ndarray, edge: float) -> np.ndarray:
        """Returns noise-free magnitudes ``[N, S, S]`` as coil and k-space leave them.

        The coil's sensitivity averages 1 over the image. The point spread is a product in k-space. A
        phase between even and odd lines (encoded downwards) splits the signal between its place and
        the Nyquist ghost half an image away: ``cos(phase / 2)`` and ``sin(phase / 2)``, in quadrature.

        Args:
            images: the slices, not negative.
            edge: edge of the image in mm.
        """
        side = images.shape[-1]
        axis = edge * ((np.arange(side) + 0.5) / side - 0.5)
        down, right = (np.exp(-0.5 * ((axis - centre) / self.reach) ** 2) for centre in self.coil)
        sensitivity = down[:, None] * right
        images = images * (sensitivity / sensitivity.mean())
        if any(self.spread):
            down, right = (_transfer(width, side, edge) for width in self.spread)
            images = np.abs(np.fft.ifft2(np.fft.fft2(images) * down[:, None] * right))
        if self.ghost:
            moved = np.roll(images, side // 2, axis=-2)
            images = np.hypot(math.cos(self.ghost / 2) * images, math.sin(self.ghost / 2) * moved)
        return images

    def show(self, images: np.ndarray) -> np.ndarray:
        """Returns grey values ``gain * images ** gamma`` of magnitudes, not negative."""
        return self.gain * images**self.gamma


def _transfer(width: float, side: int, edge: float) -> np.ndarray:
    """Fourier transform ``[side]`` of a Gaussian of full width ``width`` mm at half maximum, area 1."""
    sigma = width / math.sqrt(8 * math.log(2))
    return np.exp(-2 * (np.pi * sigma * np.fft.fftfreq(side, edge / side)) ** 2)


def shading(rng: np.random.Generator, count: int, side: int, bias: float) -> np.ndarray:
    """A smooth factor around 1 for each slice ``[count, side, side]``, of the head in the coil."""
    axis = np.linspace(-1, 1, side)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    modes = np.stack([x, y, x * y, x**2 - 1 / 3, y**2 - 1 / 3])
    weights = rng.normal(0, bias / 2, 5) + rng.normal(0, bias / 8, (count, 5))
    return np.exp(np.tensordot(weights, modes, axes=1))


SCANNERS = {
    "scanner A": Scanner(
        tesla=1.5, spread=(3.0, 3.0), noise=1.0, coil=(0.0, 0.0), reach=200.0, gain=1.05, gamma=1.0
    ),
    "scanner B": Scanner(
        tesla=3.0, repetition=0.95, echo=0.9, spread=(3.0, 3.0), noise=0.5, coil=(70.0, 0.0),
        reach=110.0, gain=0.85, gamma=0.85,
    ),
    "scanner C": Scanner(
        tesla=1.5, repetition=1.1, echo=1.1, spread=(9.0, 5.0), noise=1.6, coil=(-30.0, 50.0),
        reach=130.0, ghost=0.15, gain=0.8, gamma=1.2,
    ),
    "scanner D": Scanner(
        tesla=3.0, echo=1.05, spread=(2.0, 2.0), noise=0.8, coil=(-60.0, -30.0), reach=110.0,
        gain=1.0, gamma=0.8,
    ),
    "scanner E": Scanner(
        tesla=3.0, echo=1.05, spread=(2.0, 2.0), noise=0.6, coil=(-40.0, -30.0), reach=110.0,
        gain=1.1, gamma=0.8,
    ),
    "scanner F": Scanner(
        tesla=3.0, echo=0.85, spread=(5.0, 5.0), noise=1.2, coil=(0.0, -60.0), reach=120.0,
        gain=0.8, gamma=1.1,
    ),
    "scanner G": Scanner(
        tesla=3.0, echo=0.85, spread=(5.0, 5.0), noise=1.6, coil=(0.0, -35.0), reach=120.0,
        gain=0.75, gamma=1.15,
    ),
}  # fmt: skip

# How often each machine is met: the class frequencies of MAGIC-Flow's scanner task.
SCANNER_SHARES = (0.2380, 0.1370, 0.0557, 0.0512, 0.1235, 0.3645, 0.0301)


def allot(subjects: int, rng: np.random.Generator) -> np.ndarray:
    """Deals the machines to the subjects: ``[subjects]`` numbers in ``SCANNERS``, in random order.

    How many subjects a machine gets follows from ``SCANNER_SHARES`` alone, but each has at least ten
    where there are seventy subjects (below, a seventh of them): any ten neighbours of
    ``splitting.PATTERN`` hold every split, so each machine is in each.
    """
    minimum = min(len(PATTERN), subjects // len(SCANNERS))
    counts = np.full(len(SCANNERS), minimum)
    target = subjects * np.array(SCANNER_SHARES)
    for _ in range(subjects - counts.sum()):
        counts[np.argmax(target - counts)] += 1
    return rng.permutation(np.repeat(np.arange(len(SCANNERS)), counts))
