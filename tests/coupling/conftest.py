import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def quick():
    """Much is compiled here and little run."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
