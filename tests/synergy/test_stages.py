"""What each stage trains and starts from, which pairs it sees, and what it changes of them."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.data import Splits
from msflow_jax.synergy import objectives
from msflow_jax.synergy.augmentation import Augmentation
from msflow_jax.synergy.model import Synergy
from msflow_jax.synergy.scenes import scenes
from msflow_jax.synergy.stages import stages
from msflow_jax.training.stage import update
from tests.synergy import tiny


def made(**changes):
    config = tiny.config(**changes)
    return stages(config, tiny.splits(), tiny.parts(), tiny.model(**changes))


def paths(stage, so_far):
    tree = jax.eval_shape(stage.initial, so_far)
    return {"/".join(str(key.key) for key in path[:1]) for path, _ in
            jax.tree_util.tree_leaves_with_path(tree)}  # fmt: skip


@pytest.mark.parametrize(
    "names, arm, expected",
    [
        (("understand", "generate"), "aligned", ["understand", "generate"]),
        (("understand", "reconstruct"), "random", ["untaught", "reconstruct"]),
        (("generate",), "aligned", ["untaught", "generate"]),
        (("prior", "understand", "reconstruct"), "easy", ["prior", "understand", "reconstruct"]),
        (("mixed",), "aligned", ["mixed"]),
    ],
)
def test_the_stages_of_a_configuration(names, arm, expected):
    tasks = tiny.config().model.tasks.to_dict()
    found = made(stages=names, tasks={**tasks, "arm": arm})
    assert [one.name for one in found] == expected
    so_far, taught = {}, {"content", "look", "understanding"}
    trained = {
        "prior": {*taught, "drawing"}, "mixed": {*taught, "drawing"}, "understand": taught,
        "untaught": taught, "reconstruct": {"drawing"}, "generate": {"drawing"},
    }  # fmt: skip
    for stage in found:
        assert paths(stage, so_far) == trained[stage.name]
        so_far = update(so_far, jax.eval_shape(stage.initial, so_far))


def test_the_classifier_learns_with_no_more_noise_than_leaves_it_the_class(monkeypatch, recwarn):
    """100 on content hides the modality from a control's drawing, and would hide the class."""
    names, given = ("understand", "reconstruct", "classify"), []

    def logits(self, params, seen):
        given.append(seen.content)
        return jnp.zeros((len(seen.look), 2))

    monkeypatch.setattr(Synergy, "class_logits", logits)
    batch = {name: jnp.asarray(tiny.images()) for name in tiny.NAMES}
    batch["label"] = jnp.zeros(3, jnp.int32)
    seen = {}
    for noise in (0.0, 0.05, 0.1, 100.0):
        recwarn.clear()
        stage = made(stages=names, noise=noise)[-1]
        said = [
            str(one.message) for one in recwarn if "classify learns with 0.1" in str(one.message)
        ]
        assert len(said) == (noise > 0.1)
        stage.loss(tiny.params(), batch, jax.random.key(0), train=True)
        seen[noise] = given.pop()
    assert np.abs(seen[0.05] - seen[0.0]).max() > 1e-3
    np.testing.assert_array_equal(seen[100.0], seen[0.1])


def test_scenes_are_replayed_while_questions_are_learned():
    tasks = {**tiny.config().model.tasks.to_dict(), "replay": 0.5}
    names = ("prior", "understand", "reconstruct")
    stage = made(stages=names, tasks=tasks)[1]
    batch = {"asked": tiny.batch(), "drawn": _scenes_of(stage)}
    params, key = tiny.params(), jax.random.key(0)

    alone, model = made(stages=names)[1], tiny.model(stages=names)

    @jax.jit
    def losses(params, batch):
        k_asked, k_drawn = jax.random.split(key)
        return (
            stage.loss(params, batch, key, train=True)[0],
            alone.loss(params, batch["asked"], k_asked, train=True)[0],
            objectives.prior_objective(model, params, batch["drawn"], k_drawn)[0],
        )

    both, asked, drawn = losses(params, batch)
    np.testing.assert_allclose(both, asked + 0.5 * drawn, rtol=1e-5)
    # What was drawn before is drawn through an expert that stays, and tells understanding to stay.
    assert paths(stage, jax.eval_shape(lambda: params)) == {"content", "look", "understanding"}


def _scenes_of(stage):
    rows = stage.source["drawn"].arrays
    return {name: np.asarray(x[:4], np.float32) / 127.5 - 1 for name, x in rows.items()}


def test_understanding_may_learn_from_pairs():
    stage = made(stages=("understand", "generate"), frozen=False)[1]
    own = jax.eval_shape(lambda: tiny.params())
    assert paths(stage, own) == {"content", "look", "understanding", "drawing"}
    images = {name: jnp.asarray(tiny.images(4, i)) for i, name in enumerate(tiny.NAMES)}

    def loss(params):
        return stage.loss(params, images, jax.random.key(0), train=True)[0]

    gradient = jax.jit(jax.grad(loss))(tiny.params())
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(gradient["content"])) > 0


def test_untaught_is_one_step_of_no_length():
    (first, _) = made(stages=("generate",))
    assert first.config.learning_rate == 0 and first.steps == 1
    loss, metrics = jax.jit(functools.partial(first.loss, train=True))(
        tiny.params(), {}, jax.random.key(0)
    )
    assert loss == 0 and not metrics


def test_drawing_leaves_understanding_as_it_is():
    model, params = tiny.model(), tiny.params()
    batch = {name: jnp.asarray(tiny.images(4, k)) for k, name in enumerate(model.modalities)}
    routes = model.trained
    for objective in (
        lambda p: objectives.pair_objective(
            model, (0.1, 0.3, 0.3), Augmentation(), routes, True, p, batch, jax.random.key(0)
        )[0],
        lambda p: objectives.reconstruct_objective(
            model, (0.1, 0.1), 0.5, Augmentation(), p, batch, jax.random.key(0)
        )[0],
    ):
        found = jax.jit(jax.grad(objective))(params)
        assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(found["drawing"])) > 0
        for part in ("content", "look"):
            assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(found[part]))
    last = made()[-1]
    assert not any(re.fullmatch(last.trains, p) for p in ("content/x", "look/x", "understanding/x"))


def test_a_name_may_stand_for_a_look():
    model, params = tiny.model(), tiny.params()
    other = {**params, "look": jax.tree.map(lambda a: -a, params["look"])}
    batch = {name: jnp.asarray(tiny.images(4, k)) for k, name in enumerate(model.modalities)}

    @functools.partial(jax.jit, static_argnums=1)
    def loss(params, named):
        return objectives.reconstruct_objective(
            model, (0.0, 0.0), named, Augmentation(), params, batch, jax.random.key(0), train=False
        )[0]

    assert loss(params, 1.0) == loss(other, 1.0)
    assert loss(params, 0.0) != loss(other, 0.0)


def test_a_withheld_route_is_in_no_pair():
    """All others of an example are; it has two modalities alone, of a withheld route and its reverse."""
    tasks = tiny.config().model.tasks.to_dict() | {"withhold": ("t1w-ct",)}
    model, params = tiny.model(tasks=tasks), tiny.params()
    assert ("t1w", "ct") not in model.trained and ("ct", "t1w") in model.trained
    assert model.route_words("t1w", "ct") == "zero-shot"
    images = {name: jnp.asarray(tiny.images(4, k)) for k, name in enumerate(model.modalities)}
    there = {name: jnp.full(4, name in ("t1w", "ct")) for name in images}

    @jax.jit
    def of(images):
        batch = {**images, "present": there}
        return objectives.pair_objective(
            model, (0.0, 0.0, 0.0), Augmentation(), model.trained, True, params, batch,
            jax.random.key(0), train=False,
        )[0]  # fmt: skip

    def loss(changed):
        return of({**images, changed: -images[changed]})

    # Only ct to t1w is left: what is drawn is T1.
    assert loss("t2w") == loss("flair") != loss("ct")


def test_a_share_of_the_pairs_is_of_whole_subjects():
    config = tiny.config(pairs=0.4)
    found = stages(config, tiny.splits(), tiny.parts(), tiny.model())[-1]
    assert len(found.source) == 7  # the slices of one of three subjects
    bare = tiny.splits()
    nobody = Splits(bare.train.take(np.arange(len(bare.train))), bare.val, bare.test, bare.info)
    object.__setattr__(nobody.train, "groups", None)
    with pytest.raises(ValueError, match="do not say whom an image shows"):
        _ = stages(config, nobody, tiny.parts(), tiny.model())[-1].source


def test_one_modality_alone_is_refused():
    bare = tiny.splits()
    train = bare.train.take(np.arange(len(bare.train)))
    for name in ("t2w", "flair", "ct"):
        train.present[name] = np.zeros(len(train), bool)
    with pytest.raises(ValueError, match="no example|no training"):
        stages(
            tiny.config(), Splits(train, bare.val, bare.test, bare.info), tiny.parts(), tiny.model()
        )


def test_pairs_are_moved_alike_and_sources_alone_change():
    x = jnp.asarray(tiny.images(6))
    key = jax.random.key(0)

    def pair(**settings):
        return jax.jit(Augmentation(**settings).pair)(key, x, x)

    np.testing.assert_array_equal(pair()[0], x)
    moved = pair(shifted=1.0, far=0.4)
    np.testing.assert_array_equal(*moved)
    assert (moved[0] != x).any() and (moved[0] == -1).any()
    source, target = pair(changed=1.0, strength=1.0)
    np.testing.assert_array_equal(target, x)
    assert (source != x).any(axis=(1, 2, 3)).all() and np.abs(source).max() <= 1


def test_scenes_are_one_shape_in_two_styles():
    found = scenes(6, (16, 16, 1), seed=3)
    first, second = found.arrays["first"], found.arrays["second"]
    assert first.shape == (6, 16, 16, 1) and (first != second).any(axis=(1, 2, 3)).all()
    again = scenes(3, (16, 16, 1), seed=3).arrays["first"]
    np.testing.assert_array_equal(again, first[:3])
