"""Shared by all tests: where real data lie, strict broadcasting, a compilation cache."""

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import hypothesis
import jax
import pytest

from msflow_jax.storage.places import private_folder

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"

# Much is compiled and little run, here and in the processes that tests start: half of the time is saved.
# Where figures must be those of a user's run, a module switches the optimisations on.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
jax.config.update("jax_disable_most_optimizations", True)
# Nearly half of what is left is saved by the older generator of code, in one part for each program. An
# unknown flag ends the process, and it is known of jaxlib 0.10 alone that it has these.
if jax.__version_info__[:2] == (0, 10):
    quick = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {quick}".strip()
# No operation broadcasts arrays of different ranks on its own: what is meant is written out.
jax.config.update("jax_numpy_rank_promotion", "raise")
# Tests compile the same small functions in every run, as do processes that they start; what lies there
# is run, so it is ours alone.
cache = os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(
    private_folder(Path(tempfile.gettempdir()) / "msflow_jax_cache")
)
jax.config.update("jax_compilation_cache_dir", cache)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
os.environ["JAX_COMPILATION_CACHE_DIR"] = cache
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
# No test asserts a time, and a busy machine is slow.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")
# Phantoms are made again by each test, and by each command that a test starts; see `phantoms.caching`.
os.environ["MSFLOW_JAX_PHANTOMS"] = "off"


def pytest_configure(config: pytest.Config) -> None:
    """A suite in the background of a script ignores Ctrl-C, as would all that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    jax.devices()  # once it runs, no command called in this process changes the number of devices
    # Tracing makes millions of short-lived objects, and each collection looks through all of JAX: 7 %
    # of the time by the usual thresholds.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class Outcome(NamedTuple):
    """What a command left: exit status and both streams."""

    status: int
    out: str
    err: str


@pytest.fixture
def shell(monkeypatch, capsys) -> Callable[..., Outcome]:
    """`shell(main, "train", "--config=x")`: a command as from the shell, but within this process."""

    def call(main: Callable[[], object], name: str, *arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        # Lines of what takes long come by the clock: how many there are is not to depend on the machine.
        monkeypatch.setattr("msflow_jax.progress.SOON", 600.0)
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
        return Outcome(status, *capsys.readouterr())

    return call


@pytest.fixture
def shared_data() -> Path:
    """Folder of the real data sets; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real data sets are not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def salt(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hashes of subjects get a salt of the tests' own, also in commands that they start."""
    os.environ.setdefault("MSFLOW_JAX_SALT", str(tmp_path_factory.mktemp("salt") / "salt"))
