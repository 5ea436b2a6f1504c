"""Metrics as they come, wherever they go."""

import errno
import json
import re
import sys
import threading
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from msflow_jax.training import guarded
from msflow_jax.training import records as records_module
from msflow_jax.training.records import Records, read_records
from msflow_jax.training.stage import stage_folder


def test_records_survive_a_torn_line(tmp_path):
    with Records(tmp_path) as records:
        for step in (1, 2, 3):
            records.write(step, {"loss": step / 10})
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-5])
    assert [r["step"] for r in read_records(tmp_path)] == [1, 2]
    with Records(tmp_path, resume_step=1) as records:
        records.write(2, {"loss": 9})
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert found == [{"step": 1, "loss": 0.1}, {"step": 2, "loss": 9.0}]


def test_damaged_lines_are_set_aside_and_the_rest_is_kept(tmp_path):
    path = tmp_path / "metrics.jsonl"
    good = [b'{"step": %d, "loss": 0.5}\n' % step for step in (1, 2, 3, 9)]
    bad = [b'{"step": 2, "lo\xff\x00\n', b"[1, 2]\n", b'{"loss": 1.0}\n', b"\xfe\xfd\n"]
    path.write_bytes(good[0] + bad[0] + good[1] + bad[1] + bad[2] + good[2] + bad[3] + good[3])
    assert [r["step"] for r in read_records(tmp_path)] == [1, 2, 3, 9]
    with (
        pytest.warns(
            UserWarning, match=r"metrics.jsonl: 4 lines .* moved to metrics.jsonl.damaged"
        ),
        Records(tmp_path, resume_step=3),
    ):
        pass
    assert path.read_bytes() == b"".join(good[:3])
    assert (tmp_path / "metrics.jsonl.damaged").read_bytes() == b"".join(bad)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Records(tmp_path, resume_step=3)


def test_a_file_of_metrics_that_cannot_be_written_is_told_once(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()  # as good as a full disk
    with pytest.warns(UserWarning) as told, Records(tmp_path) as records:
        for step in range(5):
            records.write(step, {"loss": 0.5})
    assert len(told) == 1
    assert "metrics.jsonl cannot be written" in str(told[0].message)


def test_rows_are_written_again_once_there_is_room(tmp_path, monkeypatch):
    full = [False, True, False]

    class Cut:
        """A file on a full disk takes half of a line."""

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, text):
            part = full.pop(0)
            self.file.write(text[:9] if part else text)
            if part:
                raise OSError(errno.ENOSPC, "No space left on device")

    real = Path.open
    with Records(tmp_path) as records, pytest.warns(UserWarning, match="No space left on device"):
        monkeypatch.setattr(Path, "open", lambda self, *mode, **kw: Cut(real(self, *mode, **kw)))
        for step in (1, 2, 3):
            records.write(step, {"loss": 0.5})
        monkeypatch.undo()
    assert [r["step"] for r in read_records(tmp_path)] == [1, 3]


def test_tensorboard(tmp_path):
    with Records(tmp_path, resume_step=1, writers=("tensorboard",)) as records:
        records.write(2, {"loss": 0.5, "val_auc": 0.75})
    (path,) = (tmp_path / "tensorboard").iterdir()
    events, content = [], path.read_bytes()
    while content:  # length, its checksum, event, its checksum
        size = int.from_bytes(content[:8], "little")
        events.append(Event.FromString(content[12 : 12 + size]))
        content = content[16 + size :]
    assert events[0].file_version == "brain.Event:2"
    assert events[1].step == 1 and events[1].session_log.status == SessionLog.START
    found = {e.summary.value[0].tag: e.summary.value[0].simple_value for e in events[2:]}
    assert found == {"loss": 0.5, "val_auc": 0.75} and events[2].step == 2


class Broken:
    """A writer whose disk is full from its third row on."""

    def __init__(self, workdir, resume_step):
        self.rows = 0

    def write(self, step, values):
        self.rows += 1
        if self.rows > 2:
            raise OSError(errno.ENOSPC, "No space left on device", "events")

    def close(self):
        raise AssertionError("a writer that failed is left alone")


class Blocked(Broken):
    """A writer that waits for ever, as tensorboardX does for a thread that died."""

    def write(self, step, values):
        threading.Event().wait()


class Refused(Broken):
    """A service that cannot be reached."""

    def __init__(self, workdir, resume_step):
        raise ConnectionError("no network")


@pytest.mark.parametrize(
    "kind, reason",
    [(Broken, "No space left"), (Blocked, "rows wait|did not end"), (Refused, "no network")],
)
def test_no_writer_stops_or_blocks_a_run(kind, reason, tmp_path, monkeypatch):
    monkeypatch.setitem(records_module.WRITERS, "tensorboard", kind)
    monkeypatch.setattr(guarded, "_ROWS", 10)
    start = time.monotonic()
    with pytest.warns(UserWarning) as told, Records(tmp_path, writers=("tensorboard",)) as records:
        for step in range(20):
            records.write(step, {"loss": 0.5})
            time.sleep(0.001)
    assert time.monotonic() - start < 5
    assert len(told) == 1
    message = str(told[0].message)
    assert re.search(
        rf"tensorboard of {tmp_path} is left out, training goes on .*({reason})", message
    )
    assert [r["step"] for r in read_records(tmp_path)] == list(range(20))


def test_the_end_does_not_wait_for_ever(tmp_path):
    writer = guarded.Guarded("wandb", tmp_path, lambda: Blocked(tmp_path, 0))
    writer.write(1, {})
    with pytest.warns(UserWarning, match="did not end within 0 seconds"):
        writer.close(seconds=0.1)


@pytest.fixture
def service(monkeypatch):
    """`service("wandb")`: its own package stands aside, and what is told to it is written down."""
    told, begun = [], []
    run = SimpleNamespace(
        log=lambda values, step: told.append((step, values)), finish=lambda: told.append("end"),
        info=SimpleNamespace(run_id="r7"),
    )  # fmt: skip

    def init(name, id, config, **settings):
        begun.append((name, id, config))
        return told.append(name) or run

    def start_run(run_name, run_id):
        begun.append((run_name, run_id, {}))
        return told.append(run_name) or run

    modules = {
        "wandb": SimpleNamespace(init=init),
        "mlflow": SimpleNamespace(
            start_run=start_run,
            log_dict=lambda values, name: begun.append((begun.pop()[0], None, values)),
            log_metrics=lambda values, step: told.append((step, values)),
            end_run=lambda: told.append("end"),
        ),
    }

    def called(name):
        monkeypatch.setitem(sys.modules, name, modules[name])
        return told, begun

    return called


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_services_are_told_what_metrics_jsonl_is(name, tmp_path, service):
    told, _ = service(name)
    with Records(tmp_path, writers=(name,)) as records:
        records.write(3, {"loss": 0.5})
    assert told == [tmp_path.name, (3, {"loss": 0.5}), "end"]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_stage_is_called_by_its_run_and_goes_on_as_the_same(name, tmp_path, service):
    _, begun = service(name)
    folder = stage_folder(tmp_path, "align-ct")
    folder.mkdir(parents=True)
    (tmp_path / "config.json").write_text('{"model": 1}')
    for step in (0, 4, 0):
        Records(folder, resume_step=step, writers=(name,)).__exit__()
    assert [one[0] for one in begun] == [f"{tmp_path.name}/align-ct"] * 3
    assert begun[0][2] == {"model": 1}
    first, second, third = (one[1] for one in begun)
    if name == "wandb":
        assert first == second != third
    else:
        assert (first, second, third) == (None, "r7", None)


def test_a_writer_that_is_not_installed_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match="train.writers needs wandb, .* pip install wandb"):
        Records(tmp_path, writers=("wandb",))


def test_an_unknown_writer_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="unknown train.writers .'csv'.: choose of mlflow, tens"):
        Records(tmp_path, writers=("csv",))
