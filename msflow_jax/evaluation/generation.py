"""One call that measures generated images against held-out real ones.

Every number stands beside what real images score in the same place (the floor) and what uniform noise
scores, from equal counts with equal class mix, as none of them means much alone.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.checks import check_images, check_labels
from msflow_jax.evaluation.counts import count_sets, in_mix_of, left_out, too_few
from msflow_jax.evaluation.distances import frechet_distance, prdc
from msflow_jax.evaluation.grain import evaluate_grain
from msflow_jax.evaluation.memorisation import check_memorisation

Labelled = tuple[np.ndarray, np.ndarray]
Features = Callable[[np.ndarray], np.ndarray]

_LIMIT = 2000
_NEIGHBOURS = 5
FEATURES = {
    2: "32 features of a small classifier trained on the same training data; not FID",
    3: "32 features of a small classifier trained on the same training volumes, at sides of at most 32, "
    "with the slices as channels; not FID",
}  # by axes of space
_PLANES = ", mean over the three middle planes"  # of features that a user supplies for pictures


def evaluate_generation(
    generated: np.ndarray,
    generated_labels: np.ndarray,
    train: Labelled,
    held_out: Labelled,
    classes: Sequence[str],
    *,
    seed: int,
    feature_steps: int = 400,
    flips: Sequence[str] = (),
    features: tuple[str, Features] | None = None,
    classifier: Any = None,
) -> dict[str, Any]:
    """Distribution distances, class recognition and memorisation of generated images.

    Samples of the three sets are matched class by class: equal counts.

    Args:
        generated: uint8 ``[M, *space, C]``.
        generated_labels: int ``[M]``, the requested class.
        train: uint8 images ``[T, *space, C]`` and int labels ``[T]`` the generator was trained on.
        held_out: real images and labels not trained on.
        classes: K class names.
        seed: seed of the classifier and of the random subsets.
        feature_steps: training steps of the feature classifier.
        flips: axes along which the memorisation check mirrors images too, those of training, as
            ``data.order.FLIPS`` names them.
        features: name and function, uint8 ``[N, H, W, C]`` to ``[N, F]``, of further features
            (``load_features``): the same comparison on them is ``comparison_supplied``, their name
            ``features_supplied``.
        classifier: of the training images, by ``train_feature_classifier``; None: it is trained.

    Returns:
        A dict of plain Python values; undefined metrics are None with a reason under ``undefined``.
        ``counts`` has the images of each class, ``few`` a sentence for each lack of images that makes
        the distances say little.

    Raises:
        ValueError: for another dtype or shape, or labels out of range.
    """
    # Here and not above: only this function needs flax and optax.
    from msflow_jax.evaluation.features import train_feature_classifier

    rng = np.random.default_rng(seed)
    fake, fake_labels, fake_index = _subset(generated, generated_labels, "generated", rng, classes)
    real, real_labels, _ = _subset(*held_out, "held_out", rng, classes)
    train_images, train_labels = _checked(*train, "train", classes)
    classifier = classifier or train_feature_classifier(
        train_images, train_labels, len(classes), seed=seed, steps=feature_steps
    )
    named = classifier.predict(fake), fake_labels, classifier.predict(real), real_labels
    recognition, overall = _recognition(*named, classes)
    labels = fake_labels, real_labels
    a, b, c = matched(fake_labels, real_labels, train_labels, rng)
    noise = rng.integers(0, 256, size=(len(a), *fake.shape[1:]), dtype=np.uint8)
    sets = {"generated": fake[a], "real": train_images[c], "noise": noise}
    return {
        "features": FEATURES[fake.ndim - 2],
        "samples": len(a),
        "comparison": compare(classifier.features, sets, real[b]),
        **_compare_supplied(features, sets, real[b]),
        "grain": evaluate_grain(sets, real[b], "real", seed),
        "counts": count_sets(classes, fake_labels, real_labels, train_labels, fake_labels[a]),
        "recognition": recognition,
        "recognition_overall": overall,
        "memorisation": check_memorisation(fake, real, train_images, fake_index, flips, labels),
        "settings": {"seed": seed, "feature_steps": feature_steps, "flips": bool(flips)},
        "notes": [
            *_notes(len(a), len(fake), len(generated), features[0] if features else ""),
            *left_out(*labels, classes),
        ],
        "few": too_few(classes, fake_labels[a]),
    }


def _checked(images: np.ndarray, labels: np.ndarray, name: str, classes: Sequence[str]) -> Labelled:
    images = check_images(images, name)
    labels = check_labels(labels, len(classes), f"{name} labels")
    if len(images) != len(labels):
        raise ValueError(f"{name} has {len(images)} images but {len(labels)} labels.")
    return images, labels


def _subset(
    images: np.ndarray,
    labels: np.ndarray,
    name: str,
    rng: np.random.Generator,
    classes: Sequence[str],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At most 2,000 images with labels, and their indices in the caller's arrays."""
    images, labels = _checked(images, labels, name, classes)
    size = min(len(images), _LIMIT)
    index = np.sort(rng.choice(len(images), size=size, replace=False))
    return images[index], labels[index], index


def matched(
    fake: np.ndarray, real: np.ndarray, train: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices into the three sets with the same number of images of every class."""
    picked: tuple[list[np.ndarray], ...] = ([], [], [])
    for k in np.unique(fake):
        members = [np.flatnonzero(labels == k) for labels in (fake, real, train)]
        count = min(len(m) for m in members)
        for chosen, m in zip(picked, members, strict=True):
            chosen.append(rng.choice(m, size=count, replace=False))
    a, b, c = (np.concatenate(chosen) for chosen in picked)
    return a, b, c


def compare(
    features: Features, sets: dict[str, np.ndarray], reference: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Frechet distance and prdc of each set of images against the held-out reference."""
    if len(reference) <= _NEIGHBOURS:
        reason = (
            f"{len(reference)} matched images per set, at least {_NEIGHBOURS + 1} are needed: "
            "generate classes that the held-out split holds, and more of them"
        )
        empty = dict.fromkeys(("frechet", "precision", "recall", "density", "coverage"))
        return {name: {**empty, "undefined": {metric: reason for metric in empty}} for name in sets}
    real = features(reference)
    out = {}
    for name, images in sets.items():
        fake = features(images)
        out[name] = {"frechet": frechet_distance(fake, real), **prdc(real, fake, _NEIGHBOURS)}
    return out


def _compare_supplied(
    features: tuple[str, Features] | None, sets: dict[str, np.ndarray], reference: np.ndarray
) -> dict[str, Any]:
    """The same comparison on the user's features, under keys of its own; empty for None."""
    if features is None:
        return {}
    name, function = features
    if reference.ndim == 5:
        function, name = _of_planes(function), name + _PLANES
    return {
        "features_supplied": name,
        "comparison_supplied": compare(function, sets, reference),
    }


def _of_planes(function: Features) -> Features:
    """Features of volumes by those of pictures: the mean over the three middle planes."""

    def of_volumes(volumes: np.ndarray) -> np.ndarray:
        d, h, w = (side // 2 for side in volumes.shape[1:-1])
        planes = volumes[:, d], volumes[:, :, h], volumes[:, :, :, w]
        return np.mean([function(plane) for plane in planes], axis=0)

    return of_volumes


def _recognition(
    fake: np.ndarray,
    fake_labels: np.ndarray,
    real: np.ndarray,
    real_labels: np.ndarray,
    classes: Sequence[str],
) -> tuple[list[dict[str, Any]], dict[str, float | None]]:
    """Share of each class that the feature classifier recognises: generated and held-out real.

    Overall, both are of the mix of classes that was drawn, without those that only one of both has.
    """
    table = []
    for k, name in enumerate(classes):
        row: dict[str, Any] = {"name": str(name)}
        reasons = {}
        for kind, predicted, labels in (
            ("generated", fake, fake_labels),
            ("real", real, real_labels),
        ):
            inside = labels == k
            row[f"{kind}_count"] = int(inside.sum())
            row[kind] = float((predicted[inside] == k).mean()) if inside.any() else None
            if not inside.any():
                reasons[kind] = f"no {kind} image of this class"
        if reasons:
            row["undefined"] = reasons
        table.append(row)
    weights, counted = in_mix_of(real_labels, fake_labels)
    if not counted.any():
        return table, {"generated": float((fake == fake_labels).mean()), "real": None}
    return table, {
        "generated": float((fake == fake_labels)[counted].mean()),
        "real": float(np.average(real == real_labels, weights=weights)),
    }


def _notes(matched: int, used: int, given: int, supplied: str) -> list[str]:
    notes = [
        f"Each comparison has {matched} images per set with the same class mix. Frechet distances "
        "grow as the count falls: read them against the real-versus-real floor of the same count.",
        "The classifier has seen the images the floor is drawn from, but not the held-out ones.",
        "Features of images unlike any real one, such as noise or fog, can still fall among those of "
        "real ones, and precision, density and recognition may look good there: read the distances of "
        "grain beside them.",
    ]
    if supplied:
        notes.append(
            f"A large network such as {supplied} has hundreds or thousands of features, and a Frechet "
            "distance on more features than images is mostly bias: of those on its features only the "
            "gap to the real-versus-real floor means something."
        )
    if used < given:
        notes.append(f"{used} of the {given} generated images were drawn at random for speed.")
    return notes
