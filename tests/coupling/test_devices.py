"""A coupling flow on several devices of one CPU."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys

import jax

jax.config.update("jax_num_cpu_devices", 4)
sys.path.insert(0, sys.argv[1])
import numpy as np
from tests.coupling.tiny_flows import LABELS, plain_flow, shaken

from msflow_jax.inference.runners import make_classifier
from msflow_jax.parallel.sharding import make_mesh, place, replicated, split_batch

flow = plain_flow(mixing=sys.argv[2], layout="squeeze channel:4 split checkerboard:4")
params, key, index = shaken(flow), jax.random.key(0), np.arange(4)
generate, log_probs = jax.jit(flow.generate), jax.jit(flow.class_log_probs)
alone = generate(params, LABELS, key)
mesh = make_mesh()
params = jax.device_put(params, replicated(mesh))
labels = place(np.asarray(LABELS), split_batch(mesh))
for _ in range(30):
    images = jax.block_until_ready(generate(params, labels, key))
    jax.block_until_ready(log_probs(params, images))
some = np.round((np.asarray(images) + 1) * 127.5).astype(np.uint8)
one = jax.jit(flow.classify)(params, some / np.float32(127.5) - 1, key)
for batch in (4, 8):
    order = np.array([2, 0, 3, 2, 1])
    many = make_classifier(flow, seed=0, batch=batch)(params, some[order])
    np.testing.assert_allclose(many.distances, one.distances[:, order], atol=1e-4)
    np.testing.assert_allclose(many.log_prob, one.log_prob[:, order], rtol=1e-5)
assert len(images.sharding.device_set) == 4
np.testing.assert_allclose(images, alone, atol=1e-5)
"""


@pytest.mark.parametrize("mixing", ["plu", "dense"])
def test_devices_do_not_wait_for_each_other_without_end(mixing):
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, here, mixing], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
