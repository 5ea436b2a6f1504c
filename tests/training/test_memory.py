"""What a run needs of memory is said; where it lacks, one line names what takes less."""

import jax
import jax.numpy as jnp
import pytest

from msflow_jax import data
from msflow_jax.commands import train as train_command
from msflow_jax.config import default_config
from msflow_jax.training import memory


def test_what_is_held_and_what_a_step_takes():
    state, rows = {"w": jnp.zeros((256, 256)), "key": jax.random.key(0)}, jnp.zeros(1024, jnp.uint8)
    program = jax.jit(lambda w: (w @ w).sum()).lower(state["w"]).compile()
    line = memory.describe_memory(state, {}, rows, program)
    assert line.startswith("memory: 256 KiB for parameters, average and optimiser, 1 KiB for data")
    assert "for a step; " in line and " of " in line and "more than" not in line
    silent = memory.describe_memory(state, {}, rows, object())
    assert "for a step" not in silent and silent.startswith("memory: 256 KiB")


@pytest.mark.parametrize("size, words", [(0, "0 B"), (1536, "1.5 KiB"), (3 << 40, "3.07e+03 GiB")])
def test_bytes_in_words(size, words):
    assert memory.in_words(size) == words


LACKS = [
    MemoryError("Unable to allocate 9.3 GiB for an array"),
    jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 64 bytes.\nmore"),
]


@pytest.mark.parametrize("error", LACKS)
@pytest.mark.parametrize("family", ["symmetric", "coupling"])
def test_too_little_memory_names_what_takes_less(error, family):
    config = default_config(family)
    with pytest.raises(memory.OutOfMemory) as found, memory.remedies_named(config):
        raise error
    said = str(found.value)
    assert "\n" not in said and str(error).splitlines()[0].rstrip(".") in said
    key = {"symmetric": "model.net.remat", "coupling": "model.remat"}[family]
    for remedy in (f"{key}=True", "train.batch=32", "train.accumulate=2", "sample.batch=64"):
        assert f"--config.{remedy}" in said
    assert ("train.crop" in said) == (family == "symmetric")


def test_other_errors_stay_what_they_are():
    other = jax.errors.JaxRuntimeError("INVALID_ARGUMENT: no")
    raised = pytest.raises(jax.errors.JaxRuntimeError, match="INVALID")
    with raised, memory.remedies_named(default_config()):
        raise other
    assert not memory.is_out_of_memory(other) and not memory.is_out_of_memory(ValueError("memory"))


def test_the_commands_say_it_in_one_line(monkeypatch, tmp_path, capsys):
    from msflow_jax.commands import common

    def fails(*given):
        raise MemoryError

    monkeypatch.setattr(data, "load", fails)
    with pytest.raises(memory.OutOfMemory, match=r"model\.net\.remat=True"):
        train_command.train(default_config(), tmp_path)
    monkeypatch.setattr("sys.argv", ["classify"])
    with pytest.raises(SystemExit):
        common.run(fails)
    said = capsys.readouterr().err
    assert (
        said.count("\n") == 1 and said.startswith("error: out of memory") and "sample.batch" in said
    )
