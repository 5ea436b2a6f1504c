"""The run of `tiny_training`, done once."""

import jax
import pytest
import tiny_training


@pytest.fixture(autouse=True, scope="session")
def unoptimised():
    """These tests run little and compile much: leave XLA's optimisations out."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def flow():
    return tiny_training.make_flow()


@pytest.fixture(scope="session")
def arrays():
    return tiny_training.make_arrays()


@pytest.fixture
def train_config():
    return tiny_training.make_config()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Final state and workdir."""
    workdir = tmp_path_factory.mktemp("undisturbed")
    return tiny_training.train(workdir), workdir
