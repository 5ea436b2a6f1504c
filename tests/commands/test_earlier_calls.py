"""What earlier calls left is not taken for what the last one did."""

from msflow_jax.storage.outputs import remove_partial
from tests.commands.test_outputs import stop_at


def test_series_of_an_earlier_call_go(trained, pictures, tmp_path, command):
    output, series = tmp_path / "p.csv", tmp_path / "p.series.csv"

    def classify(images, *flags):
        given = (f"--workdir={trained}", f"--images={images}", f"--output={output}", "--draws=1")
        out = command("classify", *given, *flags)
        assert out.status == 0, out.err

    series.write_text("name,label,class,slices,agree\nan/earlier/volume,0,dark,3,1\n")
    classify(pictures / "test")
    assert not series.exists()
    series.write_text("mine\n")  # nothing is written in its place
    classify(pictures / "test", "--overwrite")
    assert series.read_text() == "mine\n"


def test_what_ctrl_c_left_of_a_folder_goes(trained, tmp_path, command, monkeypatch):
    arguments = ("generate", f"--workdir={trained}", f"--output={tmp_path / 'g'}", "--steps=2")
    with monkeypatch.context() as patch:
        stop_at(patch, 2)
        assert command(*arguments, "--count=12").status == 130
    assert [p.name for p in tmp_path.iterdir()] == ["g.partial"]
    assert command(*arguments, "--count=1").status == 0
    assert [p.name for p in tmp_path.iterdir()] == ["g"]


def test_what_is_not_of_a_command_stays(tmp_path):
    output, partial = tmp_path / "g", tmp_path / "g.partial"
    for folder in (output, partial):
        folder.mkdir()
    remove_partial(output, partial, lambda _: None)
    remove_partial(output, output, lambda _: [])
    assert output.is_dir() and partial.is_dir()
    remove_partial(output, partial, lambda _: [])
    assert output.is_dir() and not partial.exists()
