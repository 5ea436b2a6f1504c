"""The same run of `tiny_training`."""

from tests.training.conftest import *  # noqa: F403
