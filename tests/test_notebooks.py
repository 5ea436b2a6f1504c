"""Every notebook runs from start to end at its small settings, and its pictures show something."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SOURCES = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
PICTURES = {
    "01_quickstart": {"certain_and_uncertain", "drawn", "classes"},
    "02_own_images": {"classified"},
    "03_latent": {"reconstructed", "drawn"},
    "04_likelihood_maps": {"maps", "drawn"},
    "05_translation": {"translated", "of_a_report", "found"},
    "06_synermedgen": {"question", "translated"},
}


@pytest.fixture(scope="module")
def tool():
    path = ROOT / "tools" / "make_notebooks.py"
    spec = importlib.util.spec_from_file_location("make_notebooks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def like_the_tests(monkeypatch, tmp_path_factory):
    """What tests/conftest.py sets in this process alone reaches a kernel by its environment."""
    # Of one run of the tests, also where two processes share it.
    phantoms = tmp_path_factory.getbasetemp().parent / "phantoms_of_notebooks"
    monkeypatch.setenv("MSFLOW_JAX_PHANTOMS", str(phantoms))
    monkeypatch.setenv("JAX_NUMPY_RANK_PROMOTION", "raise")
    found = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(found))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")  # else jupyter warns of a change to come
    monkeypatch.setenv("MSFLOW_NOTEBOOK_SMALL", "1")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, like_the_tests, monkeypatch, tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    # The quickstart alone shares its batches; more devices are more to compile.
    devices = 2 if path.stem == "01_quickstart" else 1
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", str(devices))
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=500, resources=place).execute()
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    said = "".join(one.text for one in outputs if one.output_type == "stream")
    assert f"{devices} x cpu: a step's" in said and "installing" not in said
    assert "training" in said
    # What is shown is what was saved.
    shown = [one for one in outputs if "image/png" in one.get("data", {})]
    saved = {file.stem: file for file in tmp_path.glob("runs/**/pictures/*.png")}
    assert set(saved) == PICTURES[path.stem] and len(shown) == len(saved)
    for file in saved.values():  # on white paper, with more than one tone of grey
        counts = np.bincount(np.asarray(Image.open(file).convert("L")).ravel(), minlength=256)
        assert np.sort(counts[:255])[:-1].sum() > 0.1 * counts.sum(), file
    reports = list(tmp_path.glob("runs/*/report/index.html"))
    assert len(reports) == (path.stem in ("01_quickstart", "02_own_images"))


def test_notebooks_are_made_of_their_sources(tool, capsys):
    pytest.importorskip("jupytext")
    assert [p.stem for p in NOTEBOOKS] == [p.stem for p in SOURCES] == sorted(PICTURES)
    tool.main(["--check"])
    for path in NOTEBOOKS:
        made = json.loads(path.read_text(encoding="utf-8"))
        assert len({cell["id"] for cell in made["cells"]}) == len(made["cells"])
        assert not any(cell.get("outputs") for cell in made["cells"])
        code = ["".join(cell["source"]) for cell in made["cells"] if cell["cell_type"] == "code"]
        # A comment in the .py, a command of the notebook's here.
        assert '\n    %pip install -q "{package}"' in code[0]
        assert sum("drive.mount" in one for one in code) == 1
        assert "keep_on_drive = False\nif keep_on_drive:" in "\n".join(code)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_first_cell_installs_what_is_missing(path, monkeypatch, tmp_path, capsys):
    cell = path.read_text(encoding="utf-8").split("# %%\n")[1].split("# %% [markdown]")[0]
    monkeypatch.setattr("shutil.which", lambda name: None)

    def installs(*missing):
        known = importlib.util.find_spec
        with monkeypatch.context() as patch:
            patch.setattr("importlib.util.find_spec", lambda n: None if n in missing else known(n))
            exec(cell, {})
        return capsys.readouterr().out.strip()

    monkeypatch.chdir(ROOT / "notebooks")
    assert installs() == "" and installs("msflow_jax").startswith(
        "installing msflow_jax[] @ file://"
    )
    if path.stem in ("05_translation", "06_synermedgen"):
        assert installs("tokenizers").startswith("installing msflow_jax[text] @ file://")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ImportError, match="msflow_jax is not installed: pip install msflow_jax from"
    ):
        installs("msflow_jax")


def test_a_stale_notebook_is_named(tool, monkeypatch, tmp_path, capsys):
    pytest.importorskip("jupytext")
    monkeypatch.setattr(tool, "FOLDER", tmp_path)
    source = tmp_path / "1_one.py"
    source.write_text('# %% [markdown]\n# # One\n\n# %%\nSOURCE = ""\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"1_one\.ipynb is not up to date: run python tools/make_"):
        tool.main(["--check"])
    tool.main([])
    tool.main(["--check"])
    before = json.loads((tmp_path / "1_one.ipynb").read_text(encoding="utf-8"))
    source.write_text(source.read_text() + "\n# %%\nprint(1)\n", encoding="utf-8")
    tool.main([])
    after = json.loads((tmp_path / "1_one.ipynb").read_text(encoding="utf-8"))
    assert after["cells"][:2] == before["cells"] and len(after["cells"]) == 3


def test_the_address_stands_in_one_place(tool):
    """A badge and an address come with the url, and go with it."""
    for path in SOURCES:
        bare = tool.addressed(path.read_text(encoding="utf-8"), path.stem, "")
        there = tool.addressed(bare, path.stem, "https://github.com/some/where")
        assert f"{tool.COLAB}/some/where/blob/main/notebooks/{path.stem}.ipynb" in there
        assert 'SOURCE = "https://github.com/some/where"' in there and 'SOURCE = ""' in bare
        assert tool.addressed(there, path.stem, "https://github.com/some/where") == there
        assert tool.addressed(there, path.stem, "") == bare and tool.COLAB not in bare
        assert tool.COLAB not in tool.addressed(bare, path.stem, "https://example.org/code")
    with pytest.raises(ValueError, match="has no line SOURCE"):
        tool.addressed("print(1)", "x", "")
