"""Configurations: a family's own settings, files, overrides in any order."""

import pytest

from msflow_jax.config import check_config, default_config, load_config
from msflow_jax.diffusers.settings import parse_links
from msflow_jax.families import FAMILIES, choose_settings, get_family, settings_of
from msflow_jax.settings import leaves

FILE = """
from msflow_jax.config import default_config


def get_config(variant=""):
    config = default_config()
    config.train.steps = 7
    config.model.net.width = 16
    return config
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "some.py"
    path.write_text(FILE)
    return f"--config={path}"


@pytest.mark.parametrize("family", FAMILIES)
def test_defaults_pass_their_own_check(family):
    config = default_config(family)
    assert config.is_locked and config.model.family == family
    check_config(config)
    assert get_family(family).name == family


def test_families_share_no_settings_of_their_own():
    own = [
        {key for key, _ in leaves(default_config(family).model.to_dict())} - {"family"}
        for family in FAMILIES
    ]
    assert not own[0] & own[1]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_network_brings_its_settings_wherever_it_stands(file, turn):
    overrides = ["--config.model.net.name=dit", "--config.model.net.depth=2"][::turn]
    config = load_config([file, *overrides])
    assert config.model.net.depth == 2 and "multipliers" not in config.model.net
    assert config.model.net.width == 16 and config.train.steps == 7


@pytest.mark.parametrize("turn", [1, -1])
def test_a_family_brings_its_settings_wherever_it_stands(file, turn):
    overrides = [
        "--config.model.family=coupling", "--config.model.conditioner.name=classification",
        "--config.model.conditioner.dropout=0.5", "--config.sample.generate.temperature=0.7",
    ][::turn]  # fmt: skip
    config = load_config([file, *overrides])
    assert config.model.conditioner.dropout == 0.5 and "net" not in config.model
    assert config.sample.generate.temperature == 0.7 and config.train.steps == 7


@pytest.mark.parametrize(
    "override, message",
    [
        ("model.net.depth=2", "unknown configuration key 'model.net.depth'"),
        ("model.bound=1", r"'model.bound' \(a setting of the family 'coupling'\)"),
        ("model.family=magic", "unknown model.family 'magic': choose one of 'symmetric'"),
        ("model.net.name=vit", "unknown model.net.name 'vit': choose one of 'unet', 'dit'"),
        ("model.code.scheme=rgb", "unknown code 'rgb'"),
        ("model.code.scheme=encoded", "'encoded' needs an autoencoder"),
        ("model.code.beta=-1.0", "beta must be a positive number"),
        ("model.time.name=beta", "time distribution is"),
        ("model.latent.readout=eyes", "unknown read-out 'eyes'"),
        ("model.task=count", "unknown model.task 'count': choose one of classify, segment"),
        ("train.steps=many", "train.steps=many"),
        ("train.steps=-4", "train.steps must be at least 0, got -4"),
        ("train.select=val_dice", "train.select='val_dice' is no metric of this validation"),
        ("train.sharding=torn", "unknown train.sharding 'torn': choose one of replicated"),
        ("sample.generate.solver=rk9", "unknown sample.generate.solver 'rk9': choose one of euler"),
        ("sample.classify.prior=flat", "unknown sample.classify.prior 'flat'"),
        (
            "sample.classify.prior=uniform --config.sample.classify.calibration=vector",
            "vector brings back the class frequencies .*prior=uniform",
        ),
        ("data.name=pnemoniamnist", "unknown data source 'pnemoniamnist'"),
        ("data.loader=train", "unknown data.loader 'train': choose one of device"),
    ],
)
def test_what_does_not_exist_is_refused_without_data(file, override, message):
    with pytest.raises(ValueError, match=message):
        load_config([file, *f"--config.{override}".split()])


def test_biases_of_classes_beside_balanced_training_are_told(file):
    with pytest.warns(UserWarning, match=r"calibration=vector brings back .* train.balanced=True"):
        load_config(
            [file, "--config.sample.classify.calibration=vector", "--config.train.balanced=True"]
        )


@pytest.mark.parametrize(
    "override, message",
    [
        ("conditioner.name=unet", "unknown model.conditioner.name 'unet'"),
        ("conditioner.widths=(1,2,3)", "unknown configuration key 'model.conditioner.widths'"),
        ("mixing=stir", "unknown model.mixing 'stir': choose one of plu, dense"),
        ("passes=3", "unknown model.passes 3: choose one of 1, 2"),
        ("discriminative_weight=-3.0", r"discriminative_weight must lie in \[0, 1\], got -3"),
        ("layout=sqeeze", "unknown word 'sqeeze' in the layout"),
    ],
)
def test_the_same_for_coupling_flows(file, override, message):
    with pytest.raises(ValueError, match=message):
        load_config([file, "--config.model.family=coupling", f"--config.model.{override}"])


def test_maps_have_the_pixels_of_their_images(file):
    given = [file, "--config.model.task=segment", "--config.model.resize=64"]
    with pytest.raises(ValueError, match="model.resize=64: a map has the pixels of its image"):
        load_config(given)
    assert load_config([*given, "--config.data.side=64"]).model.resize == 64
    with pytest.raises(
        ValueError, match="masks has a class for each pixel: set model.task=segment"
    ):
        load_config([file, "--config.data.name=masks"])


@pytest.mark.parametrize(
    "override, message",
    [
        ("train.eval_every=-1", "train.eval_every must be at least 0, got -1"),
        ("train.batch=0", "train.batch must be at least 1, got 0"),
        ("train.batch=-8", "train.batch must be at least 1, got -8"),
        ("train.ema=1.5", r"train.ema must lie in \[0, 1\), got 1.5"),
        ("train.learning_rate=nan", "train.learning_rate must be a positive number, got nan"),
        ("train.mesh.data=0", "train.mesh.data must be -1 or be at least 1, got 0"),
        ("train.writers=('csv',)", "unknown train.writers .'csv',.: choose one of tensorboard"),
        ("train.accumulate=5", "train.accumulate=5 must divide train.batch=64"),
        ("train.epochs=0", "steps=0 and train.epochs=0.*: one of them must be positive"),
        ("sample.batch=0", "sample.batch must be at least 1, got 0"),
    ],
)
def test_ranges_in_words(tmp_path, override, message):
    path = tmp_path / "bare.py"
    path.write_text(FILE.replace("    config.train.steps = 7\n", ""))
    with pytest.raises(ValueError, match=message):
        load_config([f"--config={path}", f"--config.{override}"])


def test_never_is_zero(file):
    check_config(load_config([file, "--config.train.eval_every=0", "--config.train.log_every=0"]))


def test_a_task_brings_the_metric_that_picks_the_best(file):
    assert load_config([file, "--config.model.task=segment"]).train.select == "val_dice"
    given = [file, "--config.train.select=val_accuracy", "--config.model.task=segment"]
    assert load_config(given).train.select == "val_accuracy"


def test_settings_of_another_network_set_in_a_file_are_refused():
    config = default_config()
    config.model.net.name = "dit"
    with pytest.raises(ValueError, match=r"set config.model.net = network_settings\('dit'\) first"):
        check_config(config)
    config = default_config("coupling")
    config.model.conditioner.name = "generation"
    with pytest.raises(ValueError, match=r"conditioner_settings\('generation'\) first"):
        check_config(config)


@pytest.mark.parametrize(
    ("window", "end"),
    [("40", "240"), ("40,80,3", "240"), ("400,40", "240; centre 400 and width 40 are 380,420"),
     ("40,-400", "240"), ("0,0", "240")],
)  # fmt: skip
def test_a_window_is_two_rising_numbers(file, window, end):
    """The first two passed; the third was refused after reading began, and not by the setting's name."""
    words = f"^data.window={window}( does not rise)?: give two rising numbers, .*=-160,{end}$"
    with pytest.raises(ValueError, match=words):
        load_config([file, f"--config.data.window={window}"])


def test_words_of_a_tuple_may_be_joined_by_commas(file):
    chosen = "--config=configs/medm2g_cohort.py", "--config.model.modalities=t1w, t2w,ct"
    model = load_config(chosen).model
    assert model.modalities == ("t1w", "t2w", "ct")
    assert parse_links(model) == (("t2w", "t1w"), ("ct", "t2w"))  # a chain where none is named
    model = load_config([*chosen, "--config.model.links=t2w+ct-t1w"]).model
    assert parse_links(model) == (("t2w", "ct", "t1w"),)
    for text in ("('t1w','t2w')", "(t1w,t2w)", "'t1w','t2w'"):
        config = load_config([chosen[0], f"--config.model.modalities={text}"])
        assert config.model.modalities == ("t1w", "t2w")
    config = load_config([chosen[0], "--config.data.window=-100,200"])  # numbers stay numbers
    assert config.data.window == (-100, 200) and len(parse_links(config.model)) == 4
    for text, message in (
        ("t1w", "two are needed, such as t1w,t2w"),
        ("ct,ct", "attaches a modality"),
    ):
        with pytest.raises(ValueError, match=message):
            load_config([chosen[0], f"--config.model.modalities={text}"])


class Model:
    def draw(self, params, key, *, steps=1, solver="euler", index=None, weights=None):
        """A verb of two settings."""


def test_settings_are_those_of_the_signature():
    assert settings_of(Model().draw) == ("steps", "solver")
    configured = {"steps": 3, "solver": "heun", "per_class": 4}
    assert choose_settings(Model(), "draw", configured) == {"steps": 3, "solver": "heun"}
    found = choose_settings(
        Model(), "draw", configured, {"steps": 5, "solver": "", "temperature": 0}
    )
    assert found == {"steps": 5, "solver": "heun"}
    with pytest.raises(ValueError, match="draw of this model has no temperature: its settings are"):
        choose_settings(Model(), "draw", {}, {"temperature": 0.5})
    with pytest.raises(ValueError, match="no verb 'explain'"):
        choose_settings(Model(), "explain", {})


def test_heads_that_do_not_divide_a_transformers_width_are_refused(file):
    dit = [file, "--config.model.net.name=dit", "--config.model.net.head_channels=64"]
    with pytest.raises(
        ValueError, match=r"width=96 .* model\.net\.head_channels=64: .* such as 48"
    ):
        load_config([*dit, "--config.model.net.width=96"])
    for width in (128, 32):  # a width below it is one head
        assert load_config([*dit, f"--config.model.net.width={width}"]).model.net.width == width


def test_the_record_of_a_run_is_no_configuration(tmp_path):
    record = tmp_path / "config.json"
    record.write_text('{"download": false}')
    with pytest.raises(ValueError, match=r"config\.json is not .* Python file: .* manifest\.json"):
        load_config([f"--config={record}"])


@pytest.mark.parametrize(
    "text, words",
    [
        ("def get_config(:\n", r"cannot be used: SyntaxError: invalid syntax \(some\.py, line 1\)"),
        ('{"download": false}', "cannot be used: NameError: name 'false' is not defined"),
        ("import nope_nope\n", "cannot be used: ModuleNotFoundError: No module named 'nope_nope'"),
        (
            "def get_config():\n    return 1 / 0\n",
            "cannot be used: ZeroDivisionError: division by zero",
        ),
        (
            "def get_config():\n    return {}\n",
            r"cannot be used: its get_config\(\) gives no config",
        ),
        (
            "from msflow_jax.config import default_config\n\n\ndef get_config():\n"
            "    config = default_config()\n    config.train.stepz = 3\n    return config\n",
            "unknown configuration key: .*stepz",
        ),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line_that_names_it(tmp_path, text, words):
    path = tmp_path / "some.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"some\.py:? {words}"):
        load_config([f"--config={path}"])
