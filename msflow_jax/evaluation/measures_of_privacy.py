"""What an evaluation measures of what a model gives away: see :mod:`msflow_jax.evaluation.measures`."""

from msflow_jax.evaluation.measure import CHANCE, LESS, SHARE, Measure

PRIVACY = {
    "auroc": Measure(
        "area under the ROC curve of training images against validation images of the same mix of "
        "classes, by the model's loss of the image: `flow_error`, or -log p(x)", CHANCE, "0.5 is best",
        "Yeom et al. 2018 (arXiv 1709.01604)",
    ),
    "tpr": Measure(
        "share of the training images whose loss is below that of all but 1 % of the validation images",
        SHARE, LESS, "Carlini et al. 2022 (arXiv 2112.03570)",
    ),
    "expected_tpr": Measure("what images that were not trained on have", SHARE, "-"),
    "nearer": Measure(
        "share of the generated images whose nearest image, of as many of each class of training and "
        "validation, is a training image; ties count half", SHARE, "0.5 is best",
    ),
    "chance": Measure(
        "the share that 95 % of random ways to part these real images into two give", SHARE, "-"
    ),
    "ratio": Measure(
        "distance of a generated image to the nearest training image over that to the nearest validation"
        " image: median, 5th percentile", "0 or more", "1 is best",
    ),
}  # fmt: skip
