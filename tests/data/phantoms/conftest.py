"""The template head, read once: it takes a second or two, and no test changes it."""

from functools import cache

import pytest

from msflow_jax.data.phantoms import anatomy

once = cache(anatomy.load)


@pytest.fixture(scope="session")
def head():
    """Maps of the whole head at 2 mm."""
    return once(spacing=2, whole=True)


@pytest.fixture(scope="module")
def read_once():
    """Within a module the maps are read once, whoever asks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anatomy, "load", once)
        yield
