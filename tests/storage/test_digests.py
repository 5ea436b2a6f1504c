"""The digest on the host is that of the devices."""

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.storage.digests import _digest, at_hand, digests, one_copy

RNG = np.random.default_rng(0)
TREE = {
    "scalar": np.float32(0.3),
    "none": np.zeros((0, 3), np.float32),
    "bool": RNG.random((3, 5)) < 0.5,
    "bytes": RNG.integers(0, 256, (7,), np.uint8),
    "half": RNG.normal(size=(2, 3, 4)).astype(np.float16),
    "brain": np.asarray(jnp.asarray(RNG.normal(size=(5, 2)), jnp.bfloat16)),
    "many": RNG.normal(size=(3, 401, 999)).astype(np.float32),  # more than are summed at once
    "turned": RNG.normal(size=(4, 6)).astype(np.float32).T,
    "counts": RNG.integers(-9, 9, (6, 2), np.int32),
}


def test_host_and_devices_agree():
    expected = {
        path: f"{int(number):08x}" for path, number in jax.device_get(_digest(TREE)).items()
    }
    for tree in (TREE, jax.device_put(TREE)):
        found = {path[2:-2]: text.split()[1] for path, text in digests(tree).items()}
        assert found == expected


def test_what_is_computed_on_devices():
    """A word of 64 bits, which JAX makes one of 32."""
    assert at_hand(np.zeros(3)) is None and at_hand(jnp.zeros(3)) is not None
    assert (
        digests({"a": np.ones(3)})["['a']"].split()[1]
        == digests({"a": jnp.ones(3)})["['a']"].split()[1]
    )


def test_a_donated_array_may_be_overwritten():
    """The host looks at an array's own memory: nothing of that stays."""
    x = jnp.arange(8.0)
    before = digests({"x": x})
    y = jax.jit(lambda x: x + 1, donate_argnums=0)(x)
    assert x.is_deleted() and digests({"x": y}) != before


def test_one_copy_of_what_devices_hold_alike():
    tree = {"x": jnp.arange(3.0), "host": np.ones(2)}
    found = one_copy(tree)
    assert found["host"] is tree["host"] and len(found["x"].devices()) == 1
    np.testing.assert_array_equal(found["x"], tree["x"])
