"""What training measures on a validation split, for :class:`msflow_jax.training.Stage`."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.batches import to_float
from msflow_jax.evaluation.auc import probability_auc
from msflow_jax.evaluation.calibration import negative_log_likelihood
from msflow_jax.evaluation.likelihood import bits_per_dimension
from msflow_jax.evaluation.scaling import fit_scaling
from msflow_jax.evaluation.segmentation import evaluate_segmentation
from msflow_jax.families import choose_settings
from msflow_jax.inference.kept import kept
from msflow_jax.inference.runners import generating, make_classifier
from msflow_jax.inference.segmenting import make_segmenter
from msflow_jax.inference.windows import crop_one
from msflow_jax.parallel.batched import batched
from msflow_jax.storage.facts import TEACHER
from msflow_jax.streams import JUMP
from msflow_jax.training.distillation import without_teacher
from msflow_jax.training.flow_maps import JUMPS, STEPS
from msflow_jax.training.validation import Validation

# What they report, as ``train.select`` names it: with a leading ``-`` where less is better.
CLASSIFICATION = ("val_auc", "val_accuracy", "-val_nll")
SEGMENTATION = ("val_dice", "val_accuracy")
FLOW_LOSS = "-val_flow_loss"
JUMP_ERROR = "-val_jump_error"
# Images, some of them again, over whose noise the loss of the drawing is a mean.
_LEAST, _MOST = 64, 1024
_DRAWN = 64  # drawings of student and teacher that are compared


def resolution(select: str, images: int) -> float:
    """Differences of a metric that say nothing: what one image of the validation split can make.

    Args:
        select: name of the metric; those that are shares (AUC, accuracy, Dice) have a resolution, all
            others are compared as they are.
        images: size of the validation split.
    """
    shares = {"val_auc", "val_accuracy", "val_dice"}
    return 1 / images if select in shares and images else 0.0


def _settings(model: Any, verb: str, config: ConfigDict) -> dict[str, Any]:
    given = {**config.sample.classify.to_dict(), "outside": False}
    chosen = choose_settings(model, verb, given)
    chosen |= {"draws": config.train.draws}
    return chosen | {key: config.sample[key] for key in ("seed", "batch", "overlap")}


def make_validation(
    model: Any,
    images: np.ndarray,
    labels: np.ndarray,
    config: ConfigDict,
    drawing: Any = None,
) -> Validation:
    """``parameters -> metrics`` of a classification.

    ``val_auc`` (MedMNIST's convention), ``val_accuracy`` and ``val_nll``. The probabilities of a model
    with a likelihood are at the temperature that fits these labels best; it also gives ``val_bits``, the
    bits per dimension of log p(x). ``val_auc`` is left out where the labels are all of one class.

    Args:
        model: a model that classifies, with the parameters that are trained.
        images: uint8 ``[N, *shape]``, or latents.
        labels: class numbers ``[N]``.
        config: whole configuration of the run.
        drawing: model whose loss of the image says how well it draws: see :func:`make_flow_loss`.

    Raises:
        ValueError: the AUC is to pick the checkpoint and the labels are all of one class.
    """
    classify = make_classifier(model, **_settings(model, "classify", config))
    drawn, names = _drawing(drawing, images, labels, config)

    def validate(params: Any) -> dict[str, float]:
        prediction = classify(params, images)
        found: dict[str, float | None] = {}
        if prediction.log_prob is not None:
            bits = bits_per_dimension(prediction.log_prob, int(np.prod(images.shape[1:])))
            found["val_bits"] = float(bits.mean())
            prediction = prediction.scaled(
                fit_scaling(labels, prediction.log_probabilities, ratios=True)
            )
        p = prediction.probability
        found |= {
            "val_auc": probability_auc(labels, p),
            "val_accuracy": float(np.mean(prediction.prediction == labels)),
            "val_nll": negative_log_likelihood(labels, p),
        }
        return {name: value for name, value in found.items() if value is not None} | drawn(params)

    one_class = probability_auc(labels, np.eye(len(model.classes))[labels]) is None
    if one_class and config.train.select == "val_auc":
        of = ", ".join(model.classes[k] for k in np.unique(labels)) or "none"
        raise ValueError(
            f"the {len(labels)} images of the validation split are all of the class {of}: no AUC "
            "of theirs can pick a checkpoint. Give it images of each class, or set "
            "--config.train.select=-val_nll"
        )
    names += tuple(name for name in CLASSIFICATION if not (name == "val_auc" and one_class))
    names += ("-val_bits",) * hasattr(model, "explain")
    return Validation(validate, names, resolution(config.train.select, len(labels)))


def make_map_validation(
    model: Any, images: np.ndarray, maps: np.ndarray, config: ConfigDict, drawing: Any = None
) -> Validation:
    """``parameters -> metrics`` of a segmentation: ``val_dice`` (mean over classes), ``val_accuracy``.

    Args:
        model: a model that segments.
        images: uint8 ``[N, *shape]``.
        maps: class numbers ``[N, *space]``.
        config: whole configuration of the run.
        drawing: as for :func:`make_validation`.
    """
    segment = make_segmenter(model, **_settings(model, "segment", config))
    drawn, names = _drawing(drawing, images, maps, config)

    def validate(params: Any) -> dict[str, float]:
        found = evaluate_segmentation(maps, segment(params, images).maps, model.classes)
        measured = {"val_dice": found["mean_dice"], "val_accuracy": found["accuracy"]}
        return measured | drawn(params)

    return Validation(validate, (*names, *SEGMENTATION), resolution(config.train.select, len(maps)))


def make_flow_loss(
    model: Any, images: np.ndarray, labels: np.ndarray, *, seed: int, batch: int
) -> Callable[[Any], float]:
    """``parameters -> loss`` of the images' velocity, with the same noise at every call.

    What is measured is ``loss_image`` of the model's loss, a mean over 64 to 1024 pairs of image and
    noise. It says how well the model draws, and says it cheaply: one pass for each pair.

    Args:
        model: a model whose loss reports ``loss_image``.
        images: uint8 ``[N, *shape]``, or latents.
        labels: class numbers ``[N]`` or ``[N, *space]``.
        seed: seed of the noise.
        batch: images at a time.
    """
    count = min(max(len(images), _LEAST), _MOST)
    chosen = np.arange(count) % len(images)
    if len(images) > count:  # spread over the split, which may be sorted
        chosen = np.linspace(0, len(images) - 1, count).astype(int)

    def of_one(params: Any, image: jax.Array, label: jax.Array, index: jax.Array) -> Any:
        key = jax.random.fold_in(jax.random.key(seed), index)
        image, label = crop_one(model, jax.random.fold_in(key, 1), image, label)
        one = {"image": to_float(image)[None], "label": label[None]}
        return model.loss(params, one, key, train=False)[1]["loss_image"]

    def function(params: Any, items: Any, index: jax.Array) -> jax.Array:
        images, labels = items
        return jax.vmap(of_one, in_axes=(None, 0, 0, 0))(params, images, labels, index)

    run, items = batched(function, batch), (images[chosen], labels[chosen])
    return lambda params: float(run(params, items).mean())


def _drawing(
    model: Any, images: np.ndarray, labels: np.ndarray, config: ConfigDict
) -> tuple[Callable[[Any], dict[str, float]], tuple[str, ...]]:
    """``parameters -> metrics`` of how well a model draws, and their names; none without a model."""
    if model is None:
        return lambda params: {}, ()
    loss = make_flow_loss(model, images, labels, seed=config.sample.seed, batch=config.sample.batch)
    return lambda params: {FLOW_LOSS.removeprefix("-"): loss(params)}, (FLOW_LOSS,)


def with_jumps(
    validation: Validation,
    student: Any,
    teacher: Any,
    labels: np.ndarray,
    config: ConfigDict,
    guidance: float = 1.0,
) -> Validation:
    """A validation that also measures how far four jumps end from where the teacher's path does.

    ``val_jump_error`` is the mean squared difference of what both draw of the same noise and labels, the
    teacher in 25 Euler steps.

    Args:
        validation: the rest.
        student: a model that jumps.
        teacher: the same model without, whose parameters stand under ``teacher`` in the tree; where
            there are none the student's own velocity is followed.
        labels: some of these are drawn, class numbers ``[N]`` or maps, of which the first window.
        config: whole configuration of the run.
        guidance: of the teacher.
    """
    chosen = labels[np.linspace(0, len(labels) - 1, _DRAWN).astype(int)]
    chosen = chosen[:, *(slice(side) for side in student.window)] if chosen.ndim > 1 else chosen

    def drawing(model: Any, steps: int, solver: str, weight: float = 1.0) -> Callable[..., Any]:
        given: Any = {"steps": steps, "solver": solver, "guidance": weight}
        of: Any = dict(seed=config.sample.seed, batch=min(_DRAWN, config.sample.batch))
        return kept(generating, model, **of, **given)

    jump, walk = drawing(student, JUMPS, JUMP), drawing(teacher, STEPS, "euler", guidance)
    walk_itself = drawing(student, STEPS, "euler")
    known: list[np.ndarray] = []  # where the teacher's paths end, which stays

    def measure(params: Any) -> dict[str, float]:
        own = without_teacher(params)
        if TEACHER in params and not known:
            known.append(np.asarray(walk(params[TEACHER], chosen)))
        ends = known[0] if known else np.asarray(walk_itself(own, chosen))
        error = float(np.mean((np.asarray(jump(own, chosen)) - ends) ** 2))
        return {**validation(own), JUMP_ERROR.removeprefix("-"): error}

    return Validation(measure, (*validation.metrics, JUMP_ERROR), validation.resolution)
