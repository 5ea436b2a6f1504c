"""The section of an evaluation that explains images, of a run of several draws."""

from types import SimpleNamespace

import numpy as np

from msflow_jax.coupling.attribution import Explanation
from msflow_jax.coupling.sections import Explanations
from msflow_jax.inference.prediction import Prediction


def test_classes_are_those_of_the_draw_that_the_maps_are_of():
    """They were those of all draws together, of which the ratios beside them knew nothing."""
    nats = np.array([[[1.0, 2.0, 9.0]], [[8.0, 2.0, 0.0]]])  # the first draw, and one far from it
    found = Prediction(nats, np.exp(-nats), nats.argmin(-1), np.ones((2, 1)), np.ones((2, 1)))
    assert found.prediction[0] == 1
    asked = []

    def explain(images, labels, others):
        asked.append((labels.tolist(), others.tolist()))
        maps = np.zeros(images.shape[:-1])
        return Explanation(maps, maps)

    images = np.zeros((1, 2, 2, 1), np.uint8)
    split = SimpleNamespace(labels=np.array([2]), images=images, names=("x",))
    flow = SimpleNamespace(explain=explain)
    run = SimpleNamespace(chosen=split, classes=("a", "b", "c"), prediction=found, flow=flow)
    _, arrays = Explanations()(run)
    assert asked == [([0], [1])]
    assert (arrays["explain_predictions"], arrays["explain_against"]) == ([0], [1])
