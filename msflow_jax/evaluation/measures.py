"""What an evaluation measures: the definition, unit, range and direction of every number that it writes.

``tools/make_reference.py`` turns the table into ``docs/reference/measures.md``.
"""

from msflow_jax.evaluation.measure import CHANCE, LESS, MORE, NEITHER, ODD, SHARE, Measure
from msflow_jax.evaluation.measures_of_drawing import GENERATION
from msflow_jax.evaluation.measures_of_maps import MAP_UNCERTAINTY, SEGMENTATION
from msflow_jax.evaluation.measures_of_pairs import (
    ANATOMY,
    FACTS,
    PARTNERS,
    RETRIEVAL,
    TEXTS,
    TRANSLATION,
)
from msflow_jax.evaluation.measures_of_privacy import PRIVACY

_MEDMNIST = "MedMNIST (arXiv 2110.14795)"
_MEDSYMMFLOW = "MedSymmFlow (arXiv 2507.19098)"

CLASSIFICATION = {
    "accuracy": Measure("share of the images whose predicted class is the true one", SHARE, MORE),
    "accuracy_mode_rule": Measure(
        "accuracy of the class that most pixels of the label picture are nearest to", SHARE, MORE,
        _MEDSYMMFLOW,
    ),
    "balanced_accuracy": Measure("mean recall over the classes present", SHARE, MORE, "scikit-learn"),
    "macro_precision": Measure("mean precision over the classes present", SHARE, MORE, "scikit-learn"),
    "macro_f1": Measure("mean F1 over the classes present", SHARE, MORE, "scikit-learn"),
    "majority_accuracy": Measure(
        "share of the most frequent class: accuracy of a constant", SHARE, NEITHER
    ),
    "cohen_kappa": Measure(
        "(p_o - p_e) / (1 - p_e): agreement beyond chance; p_o the accuracy, p_e that of the "
        "same counts in random order", "-1 to 1, chance 0", MORE, "Cohen 1960",
    ),
    "quadratic_kappa": Measure(
        "the same for ordered classes: a disagreement weighs (i - j)^2", "-1 to 1, chance 0", MORE,
        "Cohen 1968",
    ),
    "auc_probability": Measure(
        "area under the ROC curve: of p_1 for two classes, else the mean over classes of one against "
        "the rest", CHANCE, MORE, _MEDMNIST,
    ),
    "auc_distance": Measure(
        "mean over classes of the area under the ROC curve of [label != k] against the distance to k",
        CHANCE, MORE, _MEDSYMMFLOW,
    ),
    "brier": Measure("mean over images of sum_k (p_k - [label = k])^2", "0 to 2", LESS, "Brier 1950"),
    "nll": Measure(
        "mean of -log p_label; probabilities below 1e-12 count as 1e-12", "0 to 27.6 nats", LESS,
    ),
    "ece": Measure(
        "sum over bins of the largest probability of (images in it / N) |accuracy - mean probability|; "
        "bins of equal width", SHARE, LESS, "Guo et al. 2017 (arXiv 1706.04599)",
    ),
    "probability_agreement": Measure(
        "share of the images whose most probable class is the predicted one", SHARE, NEITHER
    ),
    "agreement": Measure(
        "share of the images that two draws of different noise class alike, mean over pairs",
        SHARE, MORE,
    ),
    "unanimous": Measure("share of the images that all noise draws class alike", SHARE, MORE),
    "nfe": Measure("evaluations of the network for an image and a noise draw", "1 or more", LESS),
}  # fmt: skip
PER_CLASS = {
    "recall": Measure("share of the images of the class that are given it (sensitivity)", SHARE, MORE),
    "specificity": Measure("share of the images of other classes that are not given it", SHARE, MORE),
    "precision": Measure("share of the images given the class that are of it (PPV)", SHARE, MORE),
    "npv": Measure("share of the images not given the class that are not of it", SHARE, MORE),
    "f1": Measure("2 precision recall / (precision + recall)", SHARE, MORE),
    "auc": Measure("area under the ROC curve of p_k, class k against the rest", CHANCE, MORE),
    "average_precision": Measure(
        "sum over thresholds of (recall_n - recall_(n-1)) precision_n",
        "0 to 1, chance the class's share", MORE, "scikit-learn",
    ),
}  # fmt: skip
UNCERTAINTY = {
    "distance": Measure(
        "distance to the predicted class: of the label picture to the class's code; of a coupling flow "
        "-log p(class given x) in nats", "0 or more", "more is less certain", _MEDSYMMFLOW,
    ),
    "margin": Measure(
        "distance to the predicted class minus that to the second", "0 or less", "more is less certain"
    ),
    "posterior": Measure("1 - max_k p_k", "0 to 1 - 1/K", "more is less certain"),
    "entropy": Measure("-sum_k p_k log p_k", "0 to log K nats", "more is less certain"),
    "spread": Measure(
        "sample standard deviation over D noise draws of the predicted class's probability; of "
        "symmetric flows, whose draws have opposite noise two and two, up to sqrt(D / (D - 1)) times "
        "that of independent draws",
        "0 to 0.71 (of two draws; of many 0.5)",
        "more is less certain",
    ),
    "picture_spread": Measure(
        "spread over its pixels of the label picture that was read", "0 or more", ODD,
    ),
    "flow_error": Measure(
        "mean squared error of the image's velocity at u = 0.5, predicted label", "0 or more", ODD,
    ),
    "mahalanobis": Measure(
        "distance of middle features to the nearest class mean, in spreads", "0 or more", ODD,
    ),
    "neighbour": Measure(
        "1 - cosine of middle features and the tenth nearest training image's", "0 to 2", ODD,
    ),
    "evidence": Measure(
        "-log p(x): how unlike the training images the image is", "nats", "more is less certain"
    ),
}  # fmt: skip
SELECTION = {
    "coverage": Measure("share of the images that are kept, and not rejected", SHARE, MORE),
    "threshold": Measure(
        "largest uncertainty that is kept; of `abstain` and `thresholds` the one that keeps a given "
        "share of the validation split", "as the uncertainty", NEITHER,
    ),
    "kept": Measure("images, or share of them, that a threshold keeps", "0 or more", MORE),
    "rejected": Measure(
        "share of the images that are rejected, the least certain first", SHARE, NEITHER
    ),
    "aurc": Measure(
        "area under the risk-coverage curve: mean over n = 1..N of the error of the n most certain",
        SHARE, LESS, "Geifman et al. 2019 (arXiv 1805.08206)",
    ),
    "excess_aurc": Measure(
        "aurc minus the smallest that any order of these predictions has", SHARE, LESS,
        "Geifman et al. 2019 (arXiv 1805.08206)",
    ),
    "coverage_at_accuracy": Measure(
        "largest share that can be kept with at least this accuracy", SHARE, MORE
    ),
}  # fmt: skip
CALIBRATION = {
    "temperature": Measure(
        "T that minimises the negative log-likelihood of softmax(log p / T), averaged over draws, on "
        "the N images of the validation split; of models without a likelihood plus (log T)^2 / (2 N). "
        "Of probabilities of equal class frequencies an image weighs w, equal share over its class's, "
        "there and in ece, brier and nll, and N is (sum w)^2 / sum w^2",
        "e^-4 to e^4; of likelihoods 0.001 to 100000 (of several draws to e^4 times that); 1 as it is",
        NEITHER, "Guo et al. 2017 (arXiv 1706.04599)",
    ),
    "bias": Measure("what vector scaling adds to the logarithm of a class", "nats", NEITHER),
    "ece_before": Measure("ece of the model's own probabilities", SHARE, LESS),
    "ece_after": Measure("ece of the scaled ones", SHARE, LESS),
    "classwise_ece": Measure(
        "mean over classes of the gap between that class's probability and its frequency, in 15 bins",
        SHARE, LESS, "Kull et al. 2019 (arXiv 1910.12656)",
    ),
    "nll_before": Measure("mean of -log p_label, not clipped", "0 or more nats", LESS),
    "nll_after": Measure("the same of the scaled ones", "0 or more nats", LESS),
    "confidence": Measure("mean of the largest probability of the images in a bin", SHARE, NEITHER),
}  # fmt: skip
LIKELIHOOD = {
    "log_likelihood": Measure("log p(x) of an 8-bit image, the marginal over classes", "nats", MORE),
    "bits": Measure(
        "bits per dimension: -log p(x) / (D log 2) of an 8-bit image with D entries",
        "0 to 8 and more", LESS,
    ),
    "auroc_likelihood": Measure(
        "area under the ROC curve of outside against inside, by bits per dimension", CHANCE, MORE
    ),
    "auroc_typicality": Measure(
        "the same by |bits - mean of the training images|", CHANCE, MORE,
        "Nalisnick et al. 2019 (arXiv 1906.02994)",
    ),
    "outside_more_likely": Measure(
        "whether outside images have fewer bits on average", "yes or no", NEITHER
    ),
}  # fmt: skip

# Heading, and what the part of evaluation.json holds it.
MEASURES: dict[str, dict[str, Measure]] = {
    "Classification (`classification`, of each split and subgroup)": CLASSIFICATION,
    "One class against the rest (`classification.per_class`)": PER_CLASS,
    "Uncertainty (`uncertainty_NAME` of a table, `rejection`, `abstain`)": UNCERTAINTY,
    "Rejection and abstention (`rejection`, `abstention`, `abstain`)": SELECTION,
    "Calibration (`calibration`, `reliability`)": CALIBRATION,
    "Segmentation (`segmentation`)": SEGMENTATION,
    "Errors of a segmentation by uncertainty (`segmentation.uncertainty`)": MAP_UNCERTAINTY,
    "Generated images (`generation`)": GENERATION,
    "What the model gives away (`privacy`)": PRIVACY,
    "Likelihood (`likelihood`)": LIKELIHOOD,
    "Translation (`translation`)": TRANSLATION,
    "Anatomy of translations (`translation.routes.anatomy`)": ANATOMY,
    "Partners (`partners`)": PARTNERS,
    "Retrieval (`retrieval`)": RETRIEVAL,
    "Drawn reports (`texts`)": TEXTS,
    "Facts that drawn images show (`facts`)": FACTS,
}
# Counts and settings, which stand beside the measures and say themselves what they are.
COUNTS = frozenset(
    [
        "images", "count", "predicted", "pixels", "groups", "resamples", "seed", "level", "k", "samples",
        "generated_count", "real_count", "held_out", "training", "train", "matched", "compared_at_side",
        "lower", "upper", "mean", "sd", "median", "p5", "p95", "dimensions", "times", "value",
    ]
)  # fmt: skip
