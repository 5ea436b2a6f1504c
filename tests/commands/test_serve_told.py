"""What a service tells those who ask: nothing of where it lies, and training images to its own user."""

import json
import shutil

import pytest

pytest.importorskip("starlette")

from msflow_jax.serving.answers import Asked
from msflow_jax.serving.page import Page
from msflow_jax.serving.parameters import read_parameters
from msflow_jax.serving.service import Service
from msflow_jax.workdir import open_workdir


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ([], True),
        (["--no-nearest"], False),
        (["--allow-host=model.hospital.example"], False),
        (["--allow-host=model.hospital.example", "--nearest"], True),
        (["--host=0.0.0.0"], False),
        (["--host=0.0.0.0", "--nearest"], True),
    ],
)
def test_others_see_training_images_only_where_that_is_asked_for(
    trained, command, monkeypatch, flags, shown
):
    served = []
    monkeypatch.setattr(
        "msflow_jax.serving.app.build_app", lambda service, limits: served.append(service)
    )

    def close(app, sockets, seconds):
        for one in sockets:
            one.close()
        return True

    monkeypatch.setattr("msflow_jax.serving.server.run_server", close)
    done = command("serve", f"--workdir={trained}", "--port=0", *flags)
    assert done.status == 0 and (served[0].near is not None) == shown
    said = "training images are not shown, since others reach the service" in done.err
    assert said == (not shown and "--no-nearest" not in flags)


def test_why_there_is_no_evaluation_does_not_say_where_the_model_lies(
    copied, pictures, monkeypatch
):
    shutil.rmtree(copied / "evaluations")
    service = Service(open_workdir(copied))
    file = next((pictures / "test").rglob("*.png"))
    given = read_parameters("classify", [("name", file.name)])
    (answer,) = service.do(service.kind("classify", given), [Asked(given, file.read_bytes())])
    why = "no evaluation in the workdir (msflow evaluate --workdir=copy)"
    page = Page(service)
    assert (answer["evaluation"], page.facts["evaluation"]) == (why, why)
    assert str(copied.parent) not in json.dumps([answer, page.facts]) + page.html
    monkeypatch.chdir(copied)
    assert Page(Service(open_workdir("."))).facts["model"] == "copy"
