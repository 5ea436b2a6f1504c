"""The service says of how many training images the nearest ones are."""

import json

from msflow_jax.serving.answers import Asked
from msflow_jax.serving.near import Nearest
from msflow_jax.serving.parameters import read_parameters
from msflow_jax.serving.service import Service
from msflow_jax.workdir import open_workdir


def test_of_how_many_the_nearest_are(trained, pictures):
    flow = open_workdir(trained)
    near = Nearest.of(flow)
    assert near.counts == {"compared_with": 24, "training_images": 24}
    file = next((pictures / "test").rglob("*.png"))

    def classify(service, **given):
        parameters = read_parameters("classify", [("name", file.name), *given.items()])
        asked = Asked(parameters, file.read_bytes())
        (answer,) = service.do(service.kind("classify", parameters), [asked])
        return json.loads(json.dumps(answer))

    few = Nearest(near.images, near.labels, 4708, flow)
    answer = classify(Service(flow, few))
    assert (answer["compared_with"], answer["training_images"]) == (24, 4708)
    for service, given in ((Service(flow), {}), (Service(flow, few), {"near": "0"})):
        assert "compared_with" not in classify(service, **given)
