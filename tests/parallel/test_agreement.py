"""Several processes that have not read the same are told so, by the first thing that differs."""

import numpy as np
import pytest

from msflow_jax.parallel import agreement
from msflow_jax.parallel.batched import batched

IMAGES = np.arange(24, dtype=np.uint8).reshape(6, 4)


@pytest.fixture
def processes(monkeypatch):
    """`processes(others)`: what the first process has is compared with what others have."""

    def pretend(*others):
        sums = [
            np.array([agreement._checksum(one) for one in other], np.uint32) for other in others
        ]
        monkeypatch.setattr("jax.process_count", lambda: 1 + len(others))
        gather = lambda mine: np.stack([mine, *sums])  # noqa: E731
        monkeypatch.setattr(agreement.multihost_utils, "process_allgather", gather)

    return pretend


def test_of_one_process_nothing_is_asked():
    agreement.check_agreement(images=IMAGES)


@pytest.mark.parametrize(
    "other",
    [IMAGES[:5], IMAGES[::-1], IMAGES.reshape(4, 6), IMAGES.astype(np.int32)],
    ids=["one fewer", "another order", "another shape", "another type"],
)
def test_another_set_of_images_is_refused(processes, other):
    processes(("a", IMAGES), ("a", other), ("b", IMAGES))
    with pytest.raises(ValueError, match="process 3 has other settings than process 0"):
        agreement.check_agreement(settings="a", images_or_labels=IMAGES)
    processes(("a", IMAGES), ("a", other), ("a", other))
    with pytest.raises(ValueError, match="processes 2, 3 have other images or labels than"):
        agreement.check_agreement(settings="a", images_or_labels=IMAGES)


def test_floats_may_differ_by_rounding_and_not_in_shape(processes):
    floats = {"x": IMAGES / 7, "label": np.arange(6)}
    processes(({"x": IMAGES / 7 + 1e-7, "label": np.arange(6)},))
    agreement.check_agreement(items=floats)
    processes(({"x": IMAGES[:, :3] / 7, "label": np.arange(6)},))
    with pytest.raises(ValueError, match="process 1 has other items than process 0"):
        agreement.check_agreement(items=floats)


def test_no_function_goes_over_different_items(processes):
    run = batched(lambda params, items, index: items, 2)
    processes((IMAGES[:5],))
    with pytest.raises(ValueError, match="process 1 has other images or labels than process 0"):
        run({}, IMAGES)
