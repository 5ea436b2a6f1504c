"""What an exported drawing is given: classes that there are."""

import numpy as np
import pytest

from msflow_jax.inference.exported_loader import check_labels


def test_labels_that_are_no_classes_are_refused():
    check_labels(np.array([0, 1, 2], np.int32), ["a", "b", "c"])
    for labels, found in (([0, 3], "0 to 3"), ([99], "0 to 99"), ([-1, 2], "-1 to 2")):
        with pytest.raises(ValueError, match=rf"0\.\.2, got {found}: .* knows 0 = a, 1 = b, 2 = c"):
            check_labels(np.array(labels, np.int32), ["a", "b", "c"])
