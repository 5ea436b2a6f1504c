"""The benchmark's PyTorch network is the official one."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from msflow_jax.convert import read_state_dict

ROOT = Path(__file__).resolve().parents[2]


def test_benchmark_network_gives_the_reference_velocity():
    torch = pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location(
        "torch_unet", ROOT / "benchmarks" / "torch_unet.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    data = ROOT / "tests" / "fixtures"
    weights = read_state_dict(data / "medsymmflow_unet_tiny_weights.safetensors")
    io = read_state_dict(data / "medsymmflow_unet_tiny_io.safetensors")
    net = module.UNet(
        6, width=32, multipliers=(1, 2), blocks=1, attention=(2,), head_channels=32
    ).to(memory_format=torch.channels_last)
    net.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    x = torch.from_numpy(io["x"]).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        velocity = net(x, torch.from_numpy(io["t"])).numpy()
    scale = np.abs(io["velocity"]).max()
    np.testing.assert_allclose(velocity, io["velocity"], rtol=1e-4, atol=1e-4 * scale)
