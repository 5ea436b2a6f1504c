"""A setting that was given and changes nothing is named, with what it would have an effect beside."""

import warnings

import pytest

from msflow_jax.config import load_config, settings_table
from msflow_jax.families import FAMILIES, get_family
from msflow_jax.settings import Only, Setting, idle, limit
from tests.test_setting_ranges import of_every_kind


def told(*arguments):
    """The warnings of a command line's configuration."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_config([arguments[0], *(f"--config.{one}" for one in arguments[1:])])
    return [str(w.message) for w in caught if w.category is UserWarning]


@pytest.mark.parametrize(
    ("config", "given", "beside"),
    [
        ("quickstart", "data.window=(0,80)", "with data.name='phantoms'"),
        ("quickstart", "data.root=x", "for any data.name but phantoms"),
        ("quickstart", "train.epochs=3", ""),
        ("pixel_pneumonia", "data.fit=crop", ""),  # of images at use
        ("pixel_pneumonia", "data.outside=True", ""),  # of tables of evaluate --images
        ("pixel_pneumonia", "data.modality=ct", "for data.name=cohort or"),
        ("pixel_pneumonia", "data.download=True", ""),
        ("pixel_pneumonia", "data.seed=3", "for data.name=phantoms or"),
        ("quickstart", "data.seed=3", ""),
        ("pixel_pneumonia", "model.latent.readout=decode", "where model.latent.autoencoder is set"),
        ("latent_pneumonia", "model.latent.readout=decode", ""),
        ("pixel_segment_phantom", "sample.generate.per_class=9", "for model.task=classify"),
        ("pixel_segment_phantom", "model.code.pooling=pixels", "for model.task=classify"),
        ("pixel_segment_phantom", "sample.classify.calibration=vector", "for model.task=classify"),
        ("pixel_segment_phantom", "train.calibrate_every=2", "for model.task=classify"),
        ("pixel_segment_phantom", "sample.generate.steps=5", "for model.task=classify"),
        ("pixel_segment_phantom", "sample.generate.guidance=3", "for model.task=classify"),
        ("pixel_pneumonia", "sample.generate.guidance=3", "where model.code_dropout is set"),
        ("pixel_pneumonia", "model.time.loc=1", "for model.time.name=logit_normal"),
        ("pixel_pneumonia", "data.workers=4", "for data.loader=grain"),
        ("pixel_pneumonia", "model.distillation.power=1", "distillation.teacher is set"),
        (
            "medm2g_phantom",
            "data.phantoms.slices=2",
            "but that other heads are drawn: it has one for",
        ),
        ("pixel_segment_phantom", "data.phantoms.slices=2", ""),
        ("medm2g_phantom", "train.shift=2", "registered images are not shifted"),
        ("medm2g_phantom", "train.flips=True", "registered images are not flipped"),
        ("medm2g_phantom", "train.flips=False", ""),
        ("medm2g_phantom", "train.select=val_auc", "its own loss of validation"),
        ("medm2g_phantom", "model.align.depth=3", "for model.align.encoder=vit"),
        ("synermedgen_phantom", "model.noise=2", "for model.stages=reconstruct"),
        ("synermedgen_phantom:zero_shot", "model.noise=2", ""),
        ("synermedgen_phantom", "train.shift=1", "model.augment"),
        ("synermedgen_phantom", "model.frozen=False", ""),
        ("synermedgen_phantom:zero_shot", "model.frozen=False", "for model.stages=generate"),
        ("synermedgen_phantom", "model.pairs=0.2", ""),
        ("synermedgen_phantom:zero_shot", "model.pairs=0.2", ""),
        ("magic_modality", "model.conditioner.widths=(8,8,8)", "widths of their own"),
        ("magic_breast", "model.conditioner.widths=(8,8,8)", ""),
        ("magic_breast", "sample.overlap=0.2", "where train.crop is set"),
    ],
)
def test_what_changes_nothing_is_named(config, given, beside):
    found = told(f"--config={config}", given)
    if not beside:
        assert found == []
        return
    key, value = given.split("=")
    assert len(found) == 1 and found[0].startswith(f"{key}=") and beside in found[0]
    assert value.strip("()0") in found[0].replace(" ", "") and "has no effect" in found[0]


def test_two_settings_are_seen_together():
    """What is given beside it counts, wherever it stands."""
    assert (
        told("--config=pixel_pneumonia", "model.time.loc=1", "model.time.name=logit_normal") == []
    )
    both = told("--config=quickstart", "train.epochs=3", "train.steps=7")
    assert both == [
        "train.epochs=3.0 has no effect with train.steps=7: it has one for train.steps=0"
    ]


@pytest.mark.parametrize(
    ("given", "beside", "words"),
    [
        (
            "data.phantoms.contrast=t1w",
            "data.phantoms.task=contrast",
            "data.phantoms.task=grade or",
        ),
        ("data.phantoms.contrast=t1w", "data.phantoms.task=scanner", ""),
        ("data.phantoms.slices=2", "data.dims=3", "but that other heads are drawn: it has one for"),
        ("data.slices.axis=coronal", "data.dims=3", "for data.dims=2"),
        ("data.fit=crop", "data.name=arrayrecord", "for any data.name but arrayrecord"),
        ("data.slices.axis=coronal", "data.name=phantoms", "for data.name=folder or"),
    ],
)
def test_one_that_needs_several_names_the_one_that_is_not(given, beside, words):
    name = "data.name=folder" if given.startswith("data.slices") else "data.name=phantoms"
    found = told("--config=quickstart", name, given, beside)
    assert len(found) == bool(words) and all(words in line for line in found)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            ("mesh.model=2",),
            "train.mesh.model=2 with train.sharding=replicated: devices along it repeat",
        ),
        (("mesh.model=2", "sharding=fsdp"), "with train.sharding=fsdp: devices along it repeat"),
        (("sharding=tensor",), "train.sharding=tensor with train.mesh.model=1 splits nothing"),
        (("mesh.model=2", "sharding=tensor"), ""),
        (("mesh.model=-1", "mesh.data=2", "sharding=tensor"), ""),
        (("sharding=fsdp",), ""),
    ],
)
def test_a_mesh_and_a_sharding_that_do_not_go_together_are_named(given, words):
    found = told("--config=quickstart", *(f"train.{one}" for one in given))
    assert len(found) == bool(words) and all(words in line for line in found)


def test_noise_on_content_reaches_the_classifier_too():
    stages = "model.stages=understand,generate,classify"
    assert told("--config=synermedgen_phantom", "model.noise=0.05", stages) == []


TABLE = {"a.b": Setting("", "one"), "a.c": Setting("", "other"), "name": Setting("", "choice")}


@pytest.mark.parametrize(
    ("only", "name", "effect"),
    [
        (Only("name", ("x",)), "x", True),
        (Only("name", ("x",)), "x:1", True),
        (Only("name", ("x",)), "xy", False),
        (Only("name", ("x",)), ("y", "x"), True),
        (Only("name", but=("x",)), "x:1", False),
        (Only("name", but=("x",)), "y", True),
        (Only("name", (0,)), 0, True),
        (Only("name", (0,)), 3, False),
        (Only("name"), "", False),
        (Only("name"), "z", True),
        (Only(why="never"), "z", False),
        ((Only("name", ("x",)), Only("a.c", (2,))), "x", True),
        ((Only("name", ("x",)), Only("a.c", (3,))), "x", False),
        ((Only("name", ("y",)), Only("a.c", (2,))), "x", False),
    ],
)
def test_beside_what(only, name, effect):
    table = limit(TABLE, {"a.b": only})
    given = {"a": {"b": 2, "c": 2}, "name": name}
    usual = {"a": {"b": 1, "c": 1}, "name": ""}
    assert bool(idle(table, given, {"a.b"}, usual)) is not effect
    assert not idle(table, given, {"a.c", "name"}, usual)
    assert not idle(table, {**given, "a": {"b": 0, "c": 2}}, {"a.b"}, usual)  # off


def test_a_switch_that_is_on_by_default_is_named_where_it_is_off():
    table = limit(TABLE, {"a.b": Only("name", ("x",), why="y grows")})
    given, usual = {"a": {"b": False}, "name": "y"}, {"a": {"b": True}, "name": ""}
    assert idle(table, given, {"a.b"}, usual) == [
        "a.b=False has no effect with name='y' but that y grows: it has one for name=x"
    ]
    assert not idle(table, given, {"a.b"}, given)
    assert not idle(limit(TABLE, {"a.b": Only(why="never")}), given, {"a.b"}, usual)


def test_a_default_is_not_named_but_where_there_is_never_an_effect():
    values = {"a": {"b": 1, "c": 1}, "name": ""}
    for only, named in ((Only("name"), False), (Only(why="never"), True)):
        assert bool(idle(limit(TABLE, {"a.": only}), values, {"a.b"}, values)) is named


@pytest.mark.parametrize("family", FAMILIES)
def test_limits_are_of_settings_that_there_are(family):
    table, own = settings_table(family), getattr(get_family(family), "limits", {})
    for start in own:
        assert any(key == start or key.startswith(start) for key in table), start
    for key, setting in table.items():
        for only in setting.only:
            assert not only.key or only.key in table, key


def test_no_default_is_off_beside_itself():
    """A setting may name itself, as an autoencoder does; then it has an effect where it is given."""
    for config in of_every_kind():
        for key, setting in settings_table(config.model.family).items():
            for only in setting.only:
                assert only.key != key or (not only.values and not only.but)
