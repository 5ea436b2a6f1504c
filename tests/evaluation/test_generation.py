"""Feature classifier and generation report on small pictures whose class is their brightness."""

import json

import numpy as np
import pytest

from msflow_jax.evaluation import evaluate_generation, features
from msflow_jax.evaluation.features import (
    FeatureClassifier,
    _to_network,
    shrink,
    train_feature_classifier,
)
from msflow_jax.evaluation.generation import _of_planes, compare

CLASSES = ["dark", "bright"]
STEPS = 40


def pictures(seed, n, side=8, channels=1, labels=None):
    """Dark or bright noise: easy to tell apart."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n) if labels is None else np.asarray(labels)
    base = np.where(labels == 1, 170, 70)[:, None, None, None]
    noise = rng.normal(0, 25, (n, side, side, channels))
    return np.clip(base + noise, 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def classifier() -> FeatureClassifier:
    return train_feature_classifier(*pictures(0, 200), 2, seed=0, steps=STEPS)


def test_classifier_learns_and_pads_without_trace(classifier):
    images, labels = pictures(1, 300)
    assert (classifier.predict(images) == labels).mean() > 0.98
    features = classifier.features(images)
    assert features.shape == (300, 32) and np.isfinite(features).all()
    np.testing.assert_allclose(classifier.features(images[:3]), features[:3], atol=1e-5)


def test_same_seed_same_classifier(classifier):
    images = pictures(2, 8)[0]
    again = train_feature_classifier(*pictures(0, 200), 2, seed=0, steps=STEPS)
    np.testing.assert_array_equal(classifier.features(images), again.features(images))


def test_shrink_keeps_small_images_and_averages_large_ones():
    images = pictures(3, 4)[0]
    assert shrink(images, 8) is images
    large = np.full((2, 96, 64, 3), 77, np.uint8)
    assert shrink(large, 32).shape == (2, 32, 21, 3)
    assert (shrink(large, 32) == 77).all()


def test_volumes_are_seen_whole_and_shrunk_along_three_axes():
    volumes = np.full((2, 96, 64, 32, 1), 77, np.uint8)
    assert shrink(volumes, 32).shape == (2, 32, 21, 11, 1)
    seen = _to_network(volumes, 64)
    assert seen.shape == (2, 21, 11, 32)  # sides of at most 32, the slices as channels
    stack = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5, 1)
    np.testing.assert_array_equal(_to_network(stack, 64)[..., 1], stack[:, 1, :, :, 0])


@pytest.fixture(scope="module")
def good():
    train, held_out = pictures(0, 200), pictures(1, 90)
    fake, labels = pictures(2, 60)
    fake[5] = train[0][11]
    return evaluate_generation(fake, labels, train, held_out, CLASSES, seed=0, feature_steps=STEPS)


def test_good_generator_lies_near_the_floor_and_noise_far_off(good):
    frechet = {name: row["frechet"] for name, row in good["comparison"].items()}
    assert frechet["generated"] < 3 * frechet["real"] + 0.1
    assert frechet["noise"] > 10 * frechet["generated"]
    assert good["samples"] == 60
    assert "not FID" in good["features"]


def test_grain_sees_noise_and_has_its_floor_and_what_chance_gives(good):
    grain = good["grain"]
    assert grain["images"] == 60 and set(grain["sets"]) == {"generated", "real", "noise"}
    for measure in ("spectrum", "differences"):
        value = {name: row[measure] for name, row in grain["sets"].items()}
        assert value["noise"] > 5 * max(value["generated"], value["real"], grain["chance"][measure])


def test_counts_and_lack_of_images_are_told_by_class(good):
    drawn = [row["generated"] for row in good["counts"]]
    assert sum(drawn) == 60 and [row["matched"] for row in good["counts"]] == drawn
    assert [row["train"] for row in good["counts"]] == np.bincount(pictures(0, 200)[1]).tolist()
    assert good["few"] == ["Too few pictures for a distance: 60 per set; with fewer than 100 only how "
                           "far it lies from the floor of the same count means something."]  # fmt: skip


def corners(images):
    """Features `[N, 4]`: the mean of each quarter."""
    n, side, _, channels = images.shape
    quarters = images.reshape(n, 2, side // 2, 2, side // 2, channels)
    return quarters.mean(axis=(2, 4, 5)).reshape(n, 4).astype(np.float32)


def test_supplied_features_stand_beside_the_classifiers_and_change_nothing(good):
    train, held_out = pictures(0, 200), pictures(1, 90)
    fake, labels = pictures(2, 60)
    fake[5] = train[0][11]
    found = evaluate_generation(
        fake, labels, train, held_out, CLASSES, seed=0, feature_steps=STEPS,
        features=("corners", corners),
    )  # fmt: skip
    assert "corners" in found["notes"][-1] and "floor" in found["notes"][-1]
    assert not any("supplied" in key for key in good)
    assert {**found, "notes": found["notes"][:-1]} == {
        **good,
        "features_supplied": "corners",
        "comparison_supplied": found["comparison_supplied"],
    }
    rows, own = found["comparison_supplied"], found["comparison"]
    assert {k: v.keys() for k, v in rows.items()} == {k: v.keys() for k, v in own.items()}
    assert rows["noise"]["frechet"] > 10 * rows["generated"]["frechet"] > 0
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_supplied_features_that_are_none():
    fake, labels = pictures(2, 40)
    sets = pictures(0, 60), pictures(1, 60)

    def measure(function):
        evaluate_generation(
            fake, labels, *sets, CLASSES, seed=0, feature_steps=1, features=("flat", function)
        )

    with pytest.raises(ValueError, match=r"features must be \[N, F\]"):
        measure(lambda images: images)
    with pytest.raises(ValueError, match="non-finite"):
        measure(lambda images: np.full((len(images), 3), np.nan))


def test_recognition_and_memorisation(good):
    assert good["recognition_overall"]["generated"] > 0.95
    assert [row["name"] for row in good["recognition"]] == CLASSES
    assert sum(row["generated_count"] for row in good["recognition"]) == 60
    memory = good["memorisation"]
    assert memory["generated_copies"] == 1
    assert memory["nearest"]["generated_index"][0] == 5
    assert memory["nearest"]["training_index"][0] == 11
    assert memory["training"] == 200


def test_generation_result_is_plain_json(good):
    assert json.loads(json.dumps(good, allow_nan=False)) == good


def test_swapped_labels_are_not_recognised():
    fake, labels = pictures(2, 40)
    result = evaluate_generation(
        fake, 1 - labels, pictures(0, 200), pictures(1, 60), CLASSES, seed=0, feature_steps=STEPS
    )
    assert result["recognition_overall"]["generated"] < 0.05


def test_missing_class_and_too_few_images_have_reasons():
    fake, labels = pictures(2, 6, labels=[0] * 6)
    held_out = pictures(1, 4, labels=[0, 0, 1, 1])
    result = evaluate_generation(
        fake, labels, pictures(0, 60), held_out, CLASSES, seed=0, feature_steps=STEPS
    )
    assert result["samples"] == 2
    for row in result["comparison"].values():
        assert row["frechet"] is None and "at least 6" in row["undefined"]["frechet"]
    assert [row["matched"] for row in result["counts"]] == [2, 0]
    assert any("No picture of bright is compared" in text for text in result["few"])
    assert any("Fewer than 10 pictures of dark" in text for text in result["few"])
    bright = result["recognition"][1]
    assert bright["generated"] is None and "no generated image" in bright["undefined"]["generated"]
    json.dumps(result, allow_nan=False)


def test_disagreeing_counts_are_refused():
    fake, labels = pictures(2, 6)
    train, held_out = pictures(0, 10), pictures(1, 10)
    with pytest.raises(ValueError, match="6 images but 5 labels"):
        evaluate_generation(fake, labels[:5], train, held_out, CLASSES, seed=0, feature_steps=1)
    with pytest.raises(ValueError, match="10 images but 9 labels"):
        train_feature_classifier(train[0], train[1][:9], 2, seed=0, steps=1)


class Known:
    """Stands for a trained classifier of volumes, which takes long to compile."""

    def features(self, volumes):
        return volumes.reshape(len(volumes), -1)[:, :4].astype(float)

    def predict(self, volumes):
        return (volumes.mean(axis=(1, 2, 3, 4)) > 120).astype(int)


def test_volumes_are_measured_as_images_are_with_words_of_their_own(monkeypatch):
    monkeypatch.setattr(features, "train_feature_classifier", lambda *_, **__: Known())
    (train, labels), (held_out, known) = ((pictures(i, 40, side=8)) for i in (0, 1))
    deep = [np.stack([a] * 4, axis=1) for a in (train, held_out)]
    fake = deep[0][:20].copy()
    found = evaluate_generation(
        fake, labels[:20], (deep[0], labels), (deep[1], known), CLASSES, seed=0, feature_steps=2,
        flips=["depth"], features=("mine", lambda x: x.reshape(len(x), -1)[:, :3].astype(float)),
    )  # fmt: skip
    assert "volumes" in found["features"] and "not FID" in found["features"]
    assert found["features_supplied"] == "mine, mean over the three middle planes"
    near = found["memorisation"]
    assert near["generated_copies"] == 20 and near["compared_at_side"] == 8
    assert near["mirrored"] == ["depth"] and found["grain"]["sets"]["generated"]["spectrum"] > 0
    json.dumps(found, allow_nan=False)


def test_precision_is_of_what_is_generated_and_recall_of_what_is_real():
    """A generator that draws one image again and again is precise, and recalls next to nothing."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(60, 3))
    one = real[:1] + 1e-3 * rng.normal(size=(60, 3))
    found = compare(lambda x: x, {"generated": one}, real)["generated"]
    assert found["precision"] == 1 and found["recall"] < 0.1


def test_supplied_features_of_a_volume_are_those_of_its_three_middle_planes():
    d, h, w = np.ogrid[:4, :6, :8]
    volume = (100.0 * d + 10 * h + w)[None, ..., None]
    means = _of_planes(lambda planes: planes.mean(axis=(1, 2)))(volume)
    of_each = (200 + 25 + 3.5, 150 + 30 + 3.5, 150 + 25 + 4)
    np.testing.assert_allclose(means, [[np.mean(of_each)]])
