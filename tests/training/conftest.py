"""The run of `tiny_training`, done once, and the stages of `tiny_stages`."""

import pytest

from tests.training import tiny_stages, tiny_training


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


@pytest.fixture
def stages(arrays, train_config):
    return tiny_stages.make_stages(arrays, train_config)
