"""Physics of phantoms against closed forms: signals, noise, scanners and lesions."""

import numpy as np
import pytest

from msflow_jax.data.phantoms import lesions, scanners, signals
from msflow_jax.data.phantoms.signals import RELAXATION, SEQUENCES, TISSUES


def test_spin_echo_closed_form():
    long = signals.Sequence(repetition=1e9, echo=50.0)
    tissue = np.array([1000.0, 50.0, 0.8])
    assert signals.signal(tissue, long) == pytest.approx(0.8 / np.e)
    short = signals.Sequence(repetition=1000.0, echo=0.0)
    assert signals.signal(tissue, short) == pytest.approx(0.8 * (1 - 1 / np.e))


def test_flair_nulls_the_fluid_and_lifts_lesions():
    values = dict(zip(TISSUES, signals.signal(RELAXATION, SEQUENCES["flair"]), strict=True))
    assert values["csf"] < 0.005
    assert values["lesion"] > 2 * values["grey"] > 2 * values["white"]


@pytest.mark.parametrize(
    ("contrast", "tissue"), [("flair", "csf"), ("t1ir", "csf"), ("stir", "scalp")]
)
def test_inversion_times_null(contrast, tissue):
    sequence, t1 = SEQUENCES[contrast], RELAXATION[TISSUES.index(tissue), 0]
    exact = t1 * np.log(2 / (1 + np.exp(-sequence.repetition / t1)))
    assert sequence.inversion == pytest.approx(exact, abs=0.6)  # it is given in whole ms
    values = dict(zip(TISSUES, signals.signal(RELAXATION, sequence), strict=True))
    assert values[tissue] < 0.002 * max(values.values())


@pytest.mark.parametrize(
    ("contrast", "order"),
    [
        ("t1w", ("white", "grey", "csf")),
        ("t2w", ("csf", "lesion", "grey", "white")),
        ("pdw", ("grey", "white", "bone")),
        ("t1ir", ("scalp", "white", "grey", "csf")),
        ("stir", ("csf", "grey", "white", "scalp")),
    ],
)
def test_order_of_grey_values(contrast, order):
    values = dict(zip(TISSUES, signals.signal(RELAXATION, SEQUENCES[contrast]), strict=True))
    assert sorted(order, key=values.__getitem__, reverse=True) == list(order)


def test_rician_noise():
    rng = np.random.default_rng(0)
    noise = signals.rician(np.zeros(100_000), 2.0, rng)
    assert noise.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.01)  # Rayleigh
    strong = signals.rician(np.full(100_000, 100.0), 2.0, rng)
    assert strong.std() == pytest.approx(2.0, rel=0.02)


def test_default_scanner_changes_nothing():
    images = np.random.default_rng(0).uniform(size=(2, 16, 16))
    np.testing.assert_array_equal(
        scanners.Scanner().show(scanners.Scanner().apply_coil(images, 236.0)), images
    )


def test_point_spread_has_its_width():
    point = np.zeros((1, 65, 65))
    point[0, 32, 32] = 1.0
    seen = scanners.Scanner(spread=(8.0, 4.0)).apply_coil(point, 65.0)[0]  # 1 mm a pixel
    assert seen.sum() == pytest.approx(1.0)
    for profile, width in ((seen.sum(axis=1), 8), (seen.sum(axis=0), 4)):
        assert profile[32 + width // 2] == pytest.approx(profile[32] / 2, rel=1e-6)


def test_ghost_lies_half_an_image_away():
    point = np.zeros((1, 16, 16))
    point[0, 3, 5] = 2.0
    seen = scanners.Scanner(ghost=0.2).apply_coil(point, 236.0)[0]
    assert seen[3, 5] == pytest.approx(2 * np.cos(0.1))
    assert seen[11, 5] == pytest.approx(2 * np.sin(0.1))
    assert np.count_nonzero(seen) == 2


def test_coil_is_brightest_at_its_place():
    machine = scanners.Scanner(coil=(-59.0, 59.0), reach=100.0)  # up and right
    seen = machine.apply_coil(np.ones((1, 64, 64)), 236.0)[0]
    assert seen.mean() == pytest.approx(1.0)
    assert np.unravel_index(seen.argmax(), seen.shape) == (15, 47)


def test_field_lengthens_t1_of_tissue_alone():
    content = np.eye(len(TISSUES))[None, None]  # one row of pixels, each of one tissue
    asked = np.array(["t1w"])
    low = scanners.Scanner().apply_sequence(content, RELAXATION, asked)[0, 0]
    high = scanners.Scanner(tesla=3.0).apply_sequence(content, RELAXATION, asked)[0, 0]
    ratio = dict(zip(TISSUES, high / low, strict=True))
    # Fat is white at both fields. Of white matter 1 - exp(-500 / T1) is left, T1 500 2^0.382 ms at 3 T.
    assert ratio["csf"] == ratio["scalp"] == 1.0
    assert ratio["white"] == pytest.approx((1 - np.exp(-(2**-0.382))) / (1 - np.exp(-1)), rel=1e-12)
    assert ratio["grey"] < ratio["white"]


def test_lesion_strength_of_one_ball():
    ball = lesions.Lesions(np.zeros((1, 3)), np.eye(3)[None] / 5.0, np.array([0.8]))
    points = np.array([[0.0, 0, 0], [5.0, 0, 0], [0, 15.0, 0], [0, 0, 90.0]]).T
    np.testing.assert_allclose(ball.strength(points), [0.8, 0.4, 0.0, 0.0], atol=2e-3)


def test_no_lesions_when_healthy():
    rng = np.random.default_rng(0)
    sites, weights = np.zeros((5, 3)), np.full(5, 0.2)
    none = lesions.draw_lesions(rng, 0.0, np.zeros((2, 5)), sites, weights)
    many = lesions.draw_lesions(rng, 1.0, np.zeros((2, 5)), sites, weights)
    assert len(none.peaks) == 0
    assert len(many.peaks) >= 20
    assert none.strength(np.zeros((3, 7))).sum() == 0
