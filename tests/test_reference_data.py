"""The pages of configurations say where data come from, and make nothing up."""

import importlib.util
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[1] / "tools"


@pytest.fixture(scope="module")
def tool():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(TOOLS), *sys.path])
        spec = importlib.util.spec_from_file_location(
            "reference_configurations", TOOLS / "reference_configurations.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def test_files_are_named_of_published_sets_alone(tool):
    assert "`bloodmnist_64.npz`" in tool._of_data("bloodmnist", 64)
    assert "`bloodmnist.npz`" in tool._of_data("bloodmnist", 28)
    assert ".npz" not in tool._of_data("masks", 64)
    with pytest.raises(ValueError, match="data.name=maps: say in _DATA of reference_config"):
        tool._of_data("maps", 64)
