"""A run on DICOM series, from the files to the tables: what it answers, and what it must not tell."""

import csv

import numpy as np
import pytest

from msflow_jax.data.sources.nifti.writing import write_nifti
from msflow_jax.data.sources.volumes.orientation import centred_affine
from tests.commands.browsing import answering
from tests.commands.conftest import evaluation
from tests.data.sources.dicom.dicom_objects import SECRETS, make_series, search_secrets


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def series(tmp_path):
    """Two classes of CT heads, three slices each, of patients with telling headers."""
    rng = np.random.default_rng(0)
    for k, kind in enumerate(("dark", "very bright")):
        for i in range(5):
            values = rng.normal(900 + 300 * k, 60, (3, 8, 8)).astype(np.int16)
            split = ("test", "val", "train", "train", "train")[i]
            make_series(
                tmp_path / "images" / split / kind / f"head {i}", values, spacing=(2, 1, 1),
                series=10 * k + i, patient=f"PID-47Q11-0815-{k}{i}",
            )  # fmt: skip
    return tmp_path / "images"


def test_a_whole_run_on_a_hospitals_files_tells_nothing_of_a_person(
    series, config_file, tmp_path, command
):
    workdir, said = tmp_path / "run", []
    out = command(
        "train", f"--config={config_file}", f"--workdir={workdir}", f"--config.data.root={series}",
        "--config.data.window=-400,400", "--config.train.steps=2",
    )  # fmt: skip
    assert out.status == 0, out.err
    said.append(out)
    assert evaluation(workdir)["classification"]["images"] == 6
    page = (workdir / "report" / "index.html").read_text()
    assert "window, -400 to 400 HU (CT)" in page
    rows = read(workdir / "splits.csv")
    assert len(rows) == 30 and len({row["subject"] for row in rows}) == 10
    assert {row["subject"] for row in rows} == {str(n) for n in range(1, 11)}
    where = f"--images={series / 'train' / 'very bright'}"
    output = tmp_path / "out" / "predictions.csv"
    said.append(command("classify", f"--workdir={workdir}", where, f"--output={output}"))
    assert said[-1].status == 0, said[-1].err
    every = read(output)
    assert len(every) == 9
    answers = read(tmp_path / "out" / "predictions.series.csv")
    assert [row["name"] for row in answers] == [f"head {i}" for i in (2, 3, 4)]
    for row in answers:
        slices = [r for r in every if r["name"].startswith(f"{row['name']}/")]
        p = np.array([[float(r["p_dark"]), float(r["p_very bright"])] for r in slices])
        mean, label = p.mean(axis=0), int(row["label"])
        assert float(row["p_dark"]) == pytest.approx(mean[0], abs=2e-6)
        assert label == mean.argmax() and row["class"] == ("dark", "very bright")[label]
        assert float(row["spread"]) == pytest.approx(p[:, label].std(), abs=2e-6)
        agree = np.mean([r["label"] == row["label"] for r in slices])
        assert (row["slices"], float(row["agree"])) == ("3", pytest.approx(agree, abs=1e-6))
        abstained = np.mean([int(r["abstain"]) for r in slices])
        assert float(row["abstained"]) == pytest.approx(abstained, abs=1e-6)
    assert len({row["subject"] for row in answers}) == 3
    assert all(len(row["subject"]) == 16 for row in answers)
    # A model of CT is given something else, and complains without telling either.
    make_series(
        tmp_path / "mr", np.full((3, 8, 8), 900, np.int16), modality="MR", spacing=(2, 1, 1)
    )
    said.append(command("classify", f"--workdir={workdir}", f"--images={tmp_path / 'mr'}"))
    assert said[-1].status == 2 and "is MR, the images trained on are CT" in said[-1].err
    told = served(workdir, tmp_path, next((series / "train/very bright/head 2").iterdir()), every)
    secrets = [secret.lower() for secret in SECRETS]
    text = " ".join([told, *(part for one in said for part in (one.out, one.err))]).lower()
    assert not [secret for secret in secrets if secret in text]
    for folder in (workdir, tmp_path / "out"):
        assert search_secrets(folder, secrets) == []
    assert search_secrets(series, secrets)  # they are there to be found


def served(workdir, tmp_path, slice_, every):
    """What a service answers to a slice, to a volume of NIfTI and to a slice of MR."""
    from msflow_jax.workdir import open_workdir

    values = np.random.default_rng(0).integers(-400, 400, (3, 8, 8)).astype(np.int16)
    write_nifti(tmp_path / "v.nii.gz", values, affine=centred_affine(values.shape, (2, 1, 1)))
    with answering(open_workdir(workdir)) as client:

        def send(file, name):
            return client.post("/classify", params={"name": name}, content=file.read_bytes())

        one, mr = send(slice_, "a.dcm"), send(next((tmp_path / "mr").iterdir()), "b.dcm")
        volume = send(tmp_path / "v.nii.gz", "v.nii.gz")
    (image,) = one.json()["images"]
    p = [image["probability"]["dark"], image["probability"]["very bright"]]
    of_table = [[float(row["p_dark"]), float(row["p_very bright"])] for row in every]
    assert np.abs(np.array(of_table) - p).max(axis=1).min() < 2e-6  # its noise is by its content
    assert mr.status_code == 400 and "b.dcm is MR, the images trained on are CT" in mr.text
    (whole,) = volume.json()["series"]
    assert whole["slices"] == 3 and len(volume.json()["images"]) == 3
    abstained = np.mean([image["abstain"] for image in volume.json()["images"]])
    assert whole["abstained"] == pytest.approx(abstained, abs=1e-6)
    return " ".join(answer.text for answer in (one, mr, volume))
