import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.symmetric.codes import SCHEMES, Code, palette_table
from msflow_jax.symmetric.readout import map_probabilities

# The table of the specification (section 2.1): classes -> 8-bit codes, least distance of two codes.
PUBLISHED = {
    2: ["000/000/000", "225/225/225"],
    5: ["0/0/0", "0/225/225", "75/225/225", "150/225/225", "225/225/225"],
    7: ["0/0/0", "0/150/150", "75/75/75", "75/225/225", "150/150/150", "225/75/0", "225/225/225"],
    8: ["0/0/0", "0/150/75", "75/0/150", "75/150/225", "150/75/0", "150/225/75", "225/75/150",
        "225/225/225"],
}  # fmt: skip
LEAST = {2: 3.057, 3: 1.176, 4: 1.019, 5: 0.588, 6: 0.832, 7: 1.019, 8: 1.315, 9: 0.588, 10: 1.019,
         11: 0.832, 14: 0.588}  # fmt: skip

codes = st.builds(
    Code, st.sampled_from(SCHEMES), st.sampled_from([2, 5, 9]), st.sampled_from([1.0, 4.0, 15.0])
)


@pytest.mark.parametrize("classes", PUBLISHED)
def test_palette_is_the_published_one(classes):
    rgb = [[int(v) for v in c.split("/")] for c in PUBLISHED[classes]]
    np.testing.assert_allclose(palette_table(classes), np.array(rgb) / 255 * 2 - 1, atol=1e-6)


@pytest.mark.parametrize("classes", LEAST)
def test_least_distance_of_the_palette(classes):
    t = palette_table(classes)
    d = np.linalg.norm(t[:, None] - t[None], axis=-1) + 10 * np.eye(classes)
    assert d.min() == pytest.approx(LEAST[classes], abs=1e-3)


@pytest.mark.parametrize("classes", [65, 171, 216, 300])
def test_many_classes_have_distinct_colours(classes):
    table = palette_table(classes)
    assert len(np.unique(table, axis=0)) == classes and np.abs(table).max() <= 1


def test_levels_are_the_published_numbers():
    np.testing.assert_allclose(
        np.unique(palette_table(64)), [-1, -0.411765, 0.176471, 0.764706], atol=1e-6
    )


@settings(max_examples=12)
@given(code=codes)
def test_what_is_written_is_read(code):
    labels = np.arange(code.classes)

    @jax.jit
    def written_and_read(labels):
        pictures = code.pictures(labels, 4, 5, key=jax.random.key(0))
        clean = code.clean_pictures(labels, 4, 5)
        return pictures, clean, code.read(pictures), code.to_rgb(pictures)

    pictures, clean, (distances, p, mode), colours = written_and_read(labels)
    assert pictures.shape == (code.classes, 4, 5, code.channels)
    assert np.abs(pictures - clean).max() <= code.noise_width + 1e-6
    np.testing.assert_array_equal(distances.argmin(1), labels)
    np.testing.assert_array_equal(mode, labels)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(p.argmax(1), labels)
    assert colours.shape == (code.classes, 4, 5, 3)


def test_palette_noise_is_half_beta_grey_levels():
    code = Code("palette", 2, beta=4.0)
    noise = (
        np.asarray(code.pictures(jnp.zeros(50, int), 28, 28, key=jax.random.key(1))) - code.table[0]
    )
    assert np.abs(noise).max() == pytest.approx(4 / 255, rel=1e-2)
    assert np.std(noise) == pytest.approx(4 / 255 / np.sqrt(3), rel=2e-2)


def test_grey_code_fills_the_published_range():
    code = Code("grey", 5, beta=4.0)
    np.testing.assert_allclose(code.table[:, 0], [-2, -1, 0, 1, 2])
    assert code.noise_width == pytest.approx(0.25)
    # M -> (M / (beta / 2) + 1) / 2 (K - 1), mean over pixels, d_k = |mean - k|
    picture = jnp.full((1, 2, 2, 1), 0.6).at[0, 0, 0, 0].set(1.0)
    index = (np.mean(np.asarray(picture)) / 2 + 1) / 2 * 4
    np.testing.assert_allclose(code.distances(picture)[0], np.abs(index - np.arange(5)), rtol=1e-5)


def test_palette_distance_averages_pixels_first_to_last():
    code = Code("palette", 3)
    picture = jax.random.normal(jax.random.key(0), (2, 3, 4, 3))
    expected = np.stack(
        [np.linalg.norm(np.asarray(picture) - c, axis=-1).mean((1, 2)) for c in code.table], axis=1
    )
    np.testing.assert_allclose(code.distances(picture), expected, rtol=1e-5)


@settings(max_examples=6)
@given(classes=st.integers(2, 20))
def test_simplex_is_equidistant_with_unit_variance(classes):
    table = Code("simplex", classes).table
    d = np.linalg.norm(table[:, None] - table[None], axis=-1)[~np.eye(classes, dtype=bool)]
    np.testing.assert_allclose(d, d[0], rtol=1e-4)
    np.testing.assert_allclose(table.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(table.T @ table / classes, np.eye(classes - 1), atol=1e-5)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), classes=st.sampled_from([2, 3, 8]))
def test_simplex_read_out_is_the_posterior(seed, classes):
    """E[code] = sum_k p_k c_k gives p back, and the nearest code is the most probable class."""
    code = Code("simplex", classes)
    p = np.random.default_rng(seed).dirichlet(np.full(classes, 0.7), size=4)
    mean = jnp.asarray(p @ code.table, jnp.float32)
    pictures = jnp.broadcast_to(mean[:, None, None], (4, 3, 3, classes - 1))
    np.testing.assert_allclose(code.probabilities(pictures), p, atol=2e-5)
    np.testing.assert_array_equal(code.distances(pictures).argmin(1), p.argmax(1))


def test_label_maps_are_read_pixel_by_pixel():
    for scheme in SCHEMES:
        code = Code(scheme, 4)
        maps = jax.random.randint(jax.random.key(2), (2, 6, 5), 0, 4)
        pictures = code.pictures(maps, 6, 5, key=jax.random.key(3))
        np.testing.assert_array_equal(code.pixel_probabilities(pictures).argmax(-1), maps)


@pytest.mark.parametrize(
    "arguments", [("rainbow", 3), ("palette", 1), ("grey", 3, 0.0), ("grey", 3, float("nan")),
                  ("palette", 3, 4.0, "median")]
)  # fmt: skip
def test_bad_codes_are_refused(arguments):
    with pytest.raises(ValueError):
        Code(*arguments)


def test_pictures_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="channels"):
        Code("palette", 3).distances(jnp.zeros((1, 2, 2, 1)))
    with pytest.raises(ValueError, match="labels must be"):
        Code("palette", 3).pictures(jnp.zeros((1, 2, 2), int), 3, 3, key=jax.random.key(0))


@functools.partial(jax.jit, static_argnums=0)
def there_and_back(code, pictures, weights):
    moved = code.reweight(pictures, weights)
    return code.read(moved), code.reweight(moved, 1 / weights)


@settings(max_examples=20)
@given(st.integers(2, 9), st.integers(0, 100))
def test_reweighting_is_bayes_rule(classes, seed):
    """p_k w_k, renormalised; there and back changes nothing."""
    rng = np.random.default_rng(seed)
    code = Code("simplex", classes)
    p = rng.dirichlet(np.ones(classes), 5) * 0.9 + 0.1 / classes
    weights = rng.uniform(0.2, 5, classes)
    noise = rng.normal(size=(5, 4, 4, classes - 1))
    noise -= noise.mean(axis=(1, 2), keepdims=True)
    pictures = jnp.asarray((p @ code.table)[:, None, None, :] + noise, jnp.float32)
    given = weights.astype(np.float32)
    (distances, found, _), back = there_and_back(code, pictures, given)
    expected = p * weights / (p * weights).sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (distances.argmin(1) == expected.argmax(1)).all()
    np.testing.assert_allclose(back, pictures, atol=2e-3)


@pytest.mark.parametrize("scheme", ["palette", "grey"])
def test_only_a_posterior_can_be_reweighted(scheme):
    code = Code(scheme, 3)
    with pytest.raises(ValueError, match="needs the code 'simplex'.*not '" + scheme):
        code.reweight(jnp.zeros((1, 4, 4, code.channels)), jnp.ones(3))


def test_draws_of_a_map_are_averaged_before_a_posterior_is_read_and_else_after():
    """Noise of opposite signs is gone from a mean; the mean of two grey codes is that of a third."""
    simplex = Code("simplex", 3)
    clean = simplex.clean_pictures(jnp.array([[[0, 1], [2, 0]]]), 2, 2)
    noise = 5 * jax.random.normal(jax.random.key(0), clean.shape)
    found = map_probabilities(simplex, jnp.stack([clean + noise, clean - noise]))
    np.testing.assert_allclose(found, jax.nn.one_hot(jnp.array([[[0, 1], [2, 0]]]), 3), atol=1e-4)
    grey = Code("grey", 3)
    draws = jnp.stack([grey.clean_pictures(jnp.array([k]), 2, 2) for k in (0, 2)])
    found = map_probabilities(grey, draws)
    np.testing.assert_allclose(found[..., 0], found[..., 2], rtol=1e-5)
    assert (found[..., 1] < found[..., 0]).all()
