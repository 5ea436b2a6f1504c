"""Percentile bootstrap over test images or subjects (Efron 1979), by counts instead of copied rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.ratios import count_units

LEVEL = 0.95  # mass inside an interval
FEWEST = 10  # images or subjects, below which a bootstrap means nothing
_DEFINED = 0.5  # share of the resamples that must define a metric
_NO_WIDTH = "nearly every resample gives the same value, so the bootstrap has no width"
_SELDOM = "fewer than half of the resamples define it: a class or a kind of image is too rare"


def resample_counts(units: int, resamples: int, seed: int, chunk: int = 50) -> Iterator[np.ndarray]:
    """Yields ``[<=chunk, units]`` float counts: how often each unit is in each resample.

    Args:
        units: number of images or subjects.
        resamples: number of resamples.
        seed: seed of the resampling.
        chunk: resamples held at once.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        chosen = rng.integers(0, units, size=(rows, units))
        flat = (chosen + units * np.arange(rows)[:, None]).ravel()
        yield np.bincount(flat, minlength=rows * units).reshape(rows, units).astype(np.float64)


def bootstrap_intervals(
    metrics: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    images: int,
    *,
    groups: Sequence[Any] | None = None,
    resamples: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """Percentile intervals of metrics that are functions of case weights.

    Images of one subject resemble each other: where a subject has several, resampling whole subjects
    gives the wider interval that holds.

    Args:
        metrics: name -> function from weights ``[R, images]`` to values ``[R]`` or ``[R, K]``, NaN where
            undefined; a :class:`~msflow_jax.evaluation.ratios.Counted` one says which images count.
        images: number of test images.
        groups: subject of each image, names or numbers ``[images]``; whole subjects are resampled
            then. None resamples images.
        resamples: number of bootstrap resamples.
        seed: seed of the resampling.

    Returns:
        name -> [low, high], over the resamples that define it, or of ``[R, K]`` a list of K of them;
        None where fewer than half of them do, where nearly all agree, or of fewer than 10 images or
        subjects that count: such an interval means nothing. And level, resamples, seed; with ``groups``
        also ``unit`` ("subject") and ``groups`` (how many); where something has no interval
        ``undefined``, the reason by name: a text, or of ``[R, K]`` K texts, "" for those that have one.

    Raises:
        ValueError: the groups are not one per image.
    """
    facts: dict[str, Any] = {"level": LEVEL, "resamples": resamples, "seed": seed}
    units, unit_of_image = images, None
    if groups is not None:
        unit_of_image = _number_groups(groups, images)
        units = int(unit_of_image.max()) + 1
        facts |= {"unit": "subject", "groups": units}
    values: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for counts in resample_counts(units, resamples, seed):
        weights = counts if unit_of_image is None else counts[:, unit_of_image]
        for name, metric in metrics.items():
            values[name].append(metric(weights))
    pairs = {
        name: _with_enough(
            *_interval(np.concatenate(chunks) if chunks else np.zeros(0)),
            getattr(metrics[name], "among", None),
            unit_of_image,
        )
        for name, chunks in values.items()
    }
    found = {name: interval for name, (interval, _) in pairs.items()}
    if not resamples:
        return facts | found
    if units >= FEWEST:
        reasons = {name: why for name, (_, why) in pairs.items() if any(why)}
        return facts | found | ({"undefined": reasons} if reasons else {})
    found = {name: [None] * len(v) if _several(v) else None for name, v in found.items()}
    reason = _too_few(units, "image" if groups is None else "subject")
    return facts | found | {"undefined": dict.fromkeys(metrics, reason)}


def values_of_two(
    metrics: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    first: Sequence[Any],
    second: Sequence[Any],
) -> dict[str, Any]:
    """Metrics that compare two sets of images, with the intervals of :func:`bootstrap_intervals`.

    Args:
        metrics: functions of the weights ``[R, N + M]`` of both sets, the first set's first.
        first: subject of each image of the first set ``[N]``; whole subjects are resampled, and those
            of one name in both sets together.
        second: of the second set ``[M]``.

    Returns:
        ``{name: {"value", "interval"}}``, and ``undefined``: the reasons of intervals that are None,
        which they also are where either set has fewer than 10 subjects.
    """
    sets = [[str(one) for one in names] for names in (first, second)]
    found = bootstrap_intervals(metrics, len(first) + len(second), groups=sets[0] + sets[1])
    reasons = found.get("undefined", {})
    fewest = min(len(set(names)) for names in sets)
    if fewest < FEWEST:
        reasons = dict.fromkeys(metrics, f"of one set {_too_few(fewest, 'subject')}")
    ones = np.ones((1, len(first) + len(second)))
    rows: dict[str, Any] = {
        name: {"value": float(of(ones)[0]), "interval": None if name in reasons else found[name]}
        for name, of in metrics.items()
    }
    return rows | ({"undefined": reasons} if reasons else {})


def proportion_interval(
    hits: np.ndarray,
    among: np.ndarray,
    groups: Sequence[Any] | None,
    bootstrapped: list[float] | None,
) -> tuple[list[float] | None, str]:
    """The interval of a proportion, also where the bootstrap gives none that holds.

    Where all images, or none, are hits every resample agrees; and few images or subjects have few
    resamples. The exact binomial interval (Clopper and Pearson 1934) holds there: over the images, or
    over the subjects where all of them agree.

    Args:
        hits: bool ``[N]``.
        among: bool ``[N]``: the images of the denominator.
        groups: subject of each image ``[N]``, or None.
        bootstrapped: interval of :func:`bootstrap_intervals`.

    Returns:
        The interval; or None and the reason.
    """
    total, right = int(among.sum()), int((hits & among).sum())
    if not total:
        return None, "no image to count"
    units = count_units(among, groups)
    agree = right in (0, total)
    if agree or (groups is None and units < FEWEST):
        from scipy.stats import binomtest

        found = binomtest(right if not agree else units * (right > 0), units)
        low, high = found.proportion_ci(LEVEL, method="exact")
        return [float(low), float(high)], ""
    if units < FEWEST:
        return None, _too_few(units, "subject")
    return bootstrapped, "" if bootstrapped else "no resample defines it"


def _with_enough(interval: Any, why: Any, among: Any, unit_of_image: np.ndarray | None) -> Any:
    """The same interval and reason, or those of too few images or subjects that count."""
    if among is None or interval is None:
        return interval, why
    if isinstance(why, list):
        every = zip(interval, why, among.T, strict=True)
        pairs = [_with_enough(*one, unit_of_image) for one in every]
        return [one for one, _ in pairs], [reason for _, reason in pairs]
    units = count_units(among, unit_of_image)
    if units >= FEWEST:
        return interval, why
    # One image of a class is in most resamples, and always the same one: what varies is the others.
    return None, _too_few(units, "image" if unit_of_image is None else "subject")


def _too_few(units: int, unit: str) -> str:
    return f"{units} {unit}{'' if units == 1 else 's'}: a bootstrap needs {FEWEST} or more"


def _several(value: Any) -> bool:
    """Whether this holds intervals of several values, rather than one."""
    return isinstance(value, list) and not isinstance(value[0], float)


def _number_groups(groups: Sequence[Any], images: int) -> np.ndarray:
    """The number of each image's group, int ``[images]`` from 0."""
    names = [str(group) for group in groups]
    if len(names) != images or not names:
        raise ValueError(
            f"groups must name the subject of each of the {images} images, got {len(names)} names."
        )
    return np.unique(names, return_inverse=True)[1]


def _interval(values: np.ndarray) -> tuple[Any, Any]:
    """The interval of values ``[R]`` and why there is none, or of values ``[R, K]`` K of both."""
    if np.ndim(values) == 2:
        pairs = [_interval(column) for column in values.T]
        return [interval for interval, _ in pairs], [why for _, why in pairs]
    known = values[~np.isnan(values)]
    if not known.size or known.size < _DEFINED * values.size:
        return None, _SELDOM
    tail = 100 * (1 - LEVEL) / 2
    low, high = (float(v) for v in np.percentile(known, [tail, 100 - tail]))
    return ([low, high], "") if high - low > 1e-12 else (None, _NO_WIDTH)
