"""Torch files: weights in wrappers, and files that are no weights."""

import warnings

import numpy as np
import pytest

from msflow_jax.convert import read_state_dict


# What torch files may hold besides a plain state dict, and the names that are read from it.
def torch_trees(torch):
    one = torch.ones(2)
    shared = torch.nn.Parameter(one)
    return {
        "state_dict": ({"state_dict": {"a": one}, "epoch": 3, "args": {"lr": 1.0}}, {"a"}),
        "model": ({"model": {"a": one}, "optimizer": {"state": {}}}, {"a"}),
        "ema": ({"ema": {"module": {"a": one, "b": one}}}, {"a", "b"}),
        "several": ({"model": {"a": one}, "ema": {"a": one}}, {"model.a", "ema.a"}),
        "averaged": ({"n_averaged": torch.tensor(1), "module.a": one}, {"n_averaged", "module.a"}),
        "numbers": ({0: one, 1: one}, {"0", "1"}),
        "others": ({"a": one, "version": 3, "names": ["x"], "extra": None}, {"a"}),
        "tied": ({"a": shared, "b": shared}, {"a", "b"}),
        "sparse": ({"a": torch.eye(2).to_sparse(), "b": torch.eye(2).to_sparse_csr()}, {"a", "b"}),
        "float8": ({"a": one.to(torch.float8_e4m3fn), "b": one.half()}, {"a", "b"}),
        "strides": ({"a": torch.ones(3, 2).T}, {"a"}),
    }


@pytest.mark.parametrize(
    "case",
    [
        "state_dict",
        "model",
        "ema",
        "several",
        "averaged",
        "numbers",
        "others",
        "tied",
        "sparse",
        "float8",
        "strides",
    ],
)
def test_torch_trees(case, tmp_path):
    torch = pytest.importorskip("torch")
    tree, names = torch_trees(torch)[case]
    torch.save(tree, tmp_path / "W.PTH")
    state = read_state_dict(tmp_path / "W.PTH")
    assert set(state) == names
    for name, array in state.items():
        if case == "sparse":
            np.testing.assert_array_equal(array, np.eye(2))
        elif name != "n_averaged":
            assert (array == 1).all() and array.dtype == np.float32


def test_tensors_in_lists_are_named(tmp_path):
    """As torch_ema keeps an average: in the order of the parameters, without their names."""
    torch = pytest.importorskip("torch")
    one = torch.ones(2)
    ema = {"decay": 0.99, "shadow_params": [one, one, one], "collected_params": None}
    torch.save({"model": {"a": one}, "ema": ema, "sets": ({"a": one}, 3)}, tmp_path / "w.pt")
    message = r"w\.pt: not used: ema\.shadow_params \(3 tensors in a list\), sets \(1 tensors"
    with pytest.warns(UserWarning, match=message):
        assert set(read_state_dict(tmp_path / "w.pt")) == {"a"}
    torch.save(ema, tmp_path / "w.pt")
    with pytest.raises(
        ValueError, match=r"no tensors in 3 entries; shadow_params \(3 tensors in a"
    ):
        read_state_dict(tmp_path / "w.pt")
    optimizer = {"state": {0: {"step": 3}}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}
    torch.save({"model": {"a": one}, "optimizer": optimizer}, tmp_path / "w.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_state_dict(tmp_path / "w.pt")


def unreadable(torch):
    one = torch.ones(2)
    return {
        r"tensor b has no numbers": {"b": torch.ones(2, device="meta")},
        r"tensor b is complex": {"b": one * 1j},
        r"its 1000000000000 numbers are more": {"b": torch.ones(1).expand(10**12)},
        r"its 10000000000000000 numbers are more": {
            "b": torch.sparse_coo_tensor(size=(10**8, 10**8))
        },
        r"two tensors called 0": {0: one, "0": one},
        r"two tensors called a\.b": {"a.b": one, "a": {"b": one}},
        r"no tensors in 2 entries, such as a, b": {"a": 1, "b": "text"},
        r"holds list": [one],
        r"more than tensors \(numpy": {"a": np.ones(2)},
        r"more than tensors \(torch.nn.modules.linear.Linear\)": torch.nn.Linear(1, 1),
    }


@pytest.mark.filterwarnings("ignore")
def test_torch_files_that_are_no_weights_are_named(tmp_path):
    torch = pytest.importorskip("torch")
    for message, tree in unreadable(torch).items():
        torch.save(tree, tmp_path / "w.pt")
        with pytest.raises(ValueError, match=message) as error:
            read_state_dict(tmp_path / "w.pt")
        words = str(error.value)
        # torch advises to switch its guard off: that is not passed on.
        assert "w.pt: " in words and "weights_only" not in words and "\n" not in words
    deep = {"a": torch.ones(1)}
    for _ in range(20):
        deep = {"a": deep, "b": torch.ones(1)}
    torch.save(deep, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="too deep"):
        read_state_dict(tmp_path / "w.pt")
