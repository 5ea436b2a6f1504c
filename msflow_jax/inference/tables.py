"""Predictions as rows of a table, the same for every command."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from msflow_jax.inference.prediction import Prediction


def prediction_rows(
    found: Prediction,
    names: Sequence[str],
    rejections: Mapping[str, np.ndarray] | None,
    evaluation: str,
    labels: np.ndarray | None = None,
    outside: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """A row for each prediction; there may be fewer than names.

    Args:
        found: predictions of N images.
        names: name of each image.
        rejections: whether an image is abstained from, ``[N]`` by the reason, see ``Flow.rejections``;
            None where no threshold is known.
        evaluation: which evaluation prior, temperature and thresholds are of; empty for none.
        labels: true classes, ``[N]``, where they are known.
        outside: p-value of being of the kind that was learned, ``[N]``; None where it is not known.

    Returns:
        ``name``, [``true_label``, ``true_class``], ``label``, ``class``, a probability ``p_CLASS`` for
        each class, ``uncertainty_MEASURE``, with a likelihood ``log_likelihood`` (of the 8-bit image in
        nats: the measure ``evidence`` with its sign turned) and ``bits_per_dimension``, where it is
        known ``outside`` (the p-value: small for an image of another kind), ``abstain``
        (1, 0, or empty where not known), ``reason`` (of ``abstain``, in words), ``evaluation``.
    """
    predicted, p, uncertainty = found.prediction, found.probability, found.uncertainty
    classes, likelihood, bits = found.names, found.log_likelihood, found.bits_per_dimension
    uncertainty.pop("evidence", None)  # the log-likelihood stands beside it, one quantity once
    rows = []
    for i in range(len(predicted)):
        row: dict[str, Any] = {"name": names[i]}
        if labels is not None:
            row |= {"true_label": int(labels[i]), "true_class": found.classes[labels[i]]}
        row |= {"label": int(predicted[i]), "class": classes[i]}
        row |= {f"p_{c}": f"{p[i, j]:.6f}" for j, c in enumerate(found.classes)}
        row |= {f"uncertainty_{m}": f"{value[i]:.6f}" for m, value in uncertainty.items()}
        if likelihood is not None and bits is not None:
            row |= {
                "log_likelihood": f"{likelihood[i]:.3f}",
                "bits_per_dimension": f"{bits[i]:.5f}",
            }
        if outside is not None:
            row["outside"] = f"{outside[i]:.4f}"
        why = [words for words, mask in (rejections or {}).items() if mask[i]]
        row["abstain"] = "" if rejections is None else int(bool(why))
        row["reason"] = "; ".join(why)
        rows.append({**row, "evaluation": evaluation})
    return rows


def with_sets(
    rows: Sequence[dict[str, Any]], found: Any, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows with the columns ``set`` (see :func:`joined`) and ``set_size``."""
    sizes = found.chosen.sum(axis=1)
    return [
        {**row, "set": joined(names, classes), "set_size": int(size)}
        for row, names, size in zip(rows, found.names(classes), sizes, strict=True)
    ]


def joined(names: Sequence[str], classes: Sequence[str]) -> str:
    """Names of classes joined by ``|``; where any class has one in its name, those are ``\\|``.

    Args:
        names: some of the classes.
        classes: all of them.
    """
    return "|".join(_written(name, classes) for name in names)


def parted(text: str, classes: Sequence[str]) -> list[str]:
    """The names that :func:`joined` was given."""
    known = {_written(name, classes): name for name in classes}
    whole = r"(?:\\.|[^\\|])+" if any("|" in name for name in classes) else "[^|]+"
    return [known[one] for one in re.findall(whole, text, re.S)]


def _written(name: str, classes: Sequence[str]) -> str:
    if not any("|" in one for one in classes):
        return name
    return name.replace("\\", "\\\\").replace("|", "\\|")


def series_rows(
    found: Prediction, volumes: Sequence[str], subjects: Sequence[str], evaluation: str,
    rejections: Mapping[str, np.ndarray] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """A row for each volume or series of which slices were classified.

    The probabilities of a series are the mean of its slices': one slice alone cannot outvote the others,
    as it could with products of probabilities, which take neighbouring slices for independent.

    Args:
        found: predictions of N slices; there may be fewer than volumes.
        volumes: the volume that each is a slice of, empty of a picture that is none.
        subjects: whom each shows, as a salted hash; empty where not known.
        evaluation: which evaluation prior and temperature are of; empty for none.
        rejections: as of :func:`prediction_rows`.

    Returns:
        ``name``, ``label``, ``class``, ``p_CLASS`` for each class, ``slices``, ``spread`` (standard
        deviation over the slices of the probability of this class; empty of a single one), ``agree``
        (share of the slices of this class), ``abstained`` (share of those that are abstained from; empty
        where not known), ``subject``, ``evaluation``; none where there is no series.
    """
    p, predicted = found.probability, found.prediction
    unsure = None if rejections is None else np.any(list(rejections.values()), axis=0)
    members: dict[str, list[int]] = {}
    for i, volume in enumerate(volumes[: len(predicted)]):
        if volume:
            members.setdefault(volume, []).append(i)
    rows = []
    for volume, index in members.items():
        mean = p[index].mean(axis=0)
        label = int(mean.argmax())
        spread = f"{p[index, label].std():.6f}" if len(index) > 1 else ""
        row: dict[str, Any] = {"name": volume, "label": label, "class": found.classes[label]}
        row |= {f"p_{c}": f"{mean[j]:.6f}" for j, c in enumerate(found.classes)}
        row |= {"slices": len(index), "spread": spread}
        row["agree"] = f"{(predicted[index] == label).mean():.6f}"
        row["abstained"] = "" if unsure is None else f"{unsure[index].mean():.6f}"
        rows.append({**row, "subject": subjects[index[0]], "evaluation": evaluation})
    return rows
