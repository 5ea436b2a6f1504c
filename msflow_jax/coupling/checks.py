"""What does not fit a coupling flow, said before anything is computed."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from msflow_jax.coupling.masks import masks
from msflow_jax.coupling.settings import TABLE
from msflow_jax.data.checks import check_labels

if TYPE_CHECKING:
    from msflow_jax.coupling.density import ConditionalDensity

_CHOICES = ("passes", "mixing", "split_prior", "dequantisation")


def check_choices(flow: "ConditionalDensity") -> None:
    """Refuses settings that are none of their choices, which :data:`TABLE` lists.

    Raises:
        ValueError: a value that is no choice; the choices are listed.
    """
    for name in _CHOICES:
        setting, value = TABLE[f"model.{name}"], getattr(flow, name)
        if not setting.takes(value):
            raise ValueError(setting.refusal(name, value))


def check_ranges(discriminative_weight: float, bound: float, logit_margin: float) -> None:
    """Refuses numbers out of their range; see :class:`ConditionalDensity`.

    Raises:
        ValueError: a number out of its range.
    """
    if not 0 <= discriminative_weight <= 1:
        raise ValueError(f"discriminative_weight must lie in [0, 1], got {discriminative_weight}")
    if not (bound > 0 and 0 <= logit_margin < 0.5):
        raise ValueError(
            f"bound must be positive and logit_margin lie in [0, 0.5), got {bound} and {logit_margin}"
        )


def check_settings(flow: "ConditionalDensity") -> None:
    """Refuses settings out of range.

    Raises:
        ValueError: a setting that is none of its choices or out of its range, or a layout, mask or
            conditioner that does not fit.
    """
    if len(flow.shape) not in (3, 4):
        raise ValueError(f"images are [H, W, C] or [D, H, W, C], not {flow.shape}")
    check_choices(flow)
    check_ranges(flow.discriminative_weight, flow.bound, flow.logit_margin)
    _check_classes(flow)
    for stage in flow.stages:
        if stage.steps:
            masks(stage, flow.foreground)
        if stage.widths and not hasattr(flow.conditioner, "widths"):
            kind = type(flow.conditioner).__name__
            raise ValueError(f"the layout gives widths, which the conditioner {kind} has not")


def _check_classes(flow: "ConditionalDensity") -> None:
    count = getattr(flow.conditioner, "classes", len(flow.classes))
    if count != len(flow.classes):
        raise ValueError(f"{len(flow.classes)} class names, but a conditioner of {count}")
    prior = flow.class_prior
    if prior and (len(prior) != len(flow.classes) or min(prior) <= 0 or abs(sum(prior) - 1) > 1e-3):
        raise ValueError(
            f"class_prior needs a positive frequency for each of {flow.classes}, 1 in sum, got "
            f"{prior}: a class without training images cannot be predicted"
        )


def checked_labels(labels: Any, count: int, classes: int) -> jax.Array:
    """Labels ``[count]``, see :func:`msflow_jax.data.checks.check_labels`.

    Raises:
        ValueError: labels that are no class numbers, of another number, or out of range.
    """
    if labels.shape != (count,):
        raise ValueError(f"labels must be {count} class numbers, got {labels.dtype} {labels.shape}")
    check_labels(labels, classes)
    return jnp.asarray(labels)
