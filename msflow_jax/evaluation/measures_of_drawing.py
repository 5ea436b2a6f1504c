"""The measures of drawn images; see ``evaluation/measures.py``."""

from msflow_jax.evaluation.measure import LESS, MORE, NEITHER, SHARE, Measure

_FRECHET = "Heusel et al. 2017 (arXiv 1706.08500)"
_PRDC = "Naeem et al. 2020 (arXiv 2002.09797)"

GENERATION = {
    "frechet": Measure(
        "|mu_a - mu_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2) of Gaussians fitted to features, which "
        "are named beside it (of volumes: those of a small classifier that has the slices as channels); "
        "compare only equal features and counts, and not with an FID", "0 or more", LESS, _FRECHET,
    ),
    "precision": Measure(
        "share of the generated images within the ball of a real one to its k-th neighbour", SHARE, MORE,
        "Kynkaanniemi et al. 2019 (arXiv 1904.06991)",
    ),
    "recall": Measure(
        "share of the real images within the ball of a generated one", SHARE, MORE,
        "Kynkaanniemi et al. 2019 (arXiv 1904.06991)",
    ),
    "density": Measure(
        "mean number of real balls around a generated image, divided by k", "0 or more, alike 1",
        MORE, _PRDC,
    ),
    "coverage": Measure("share of the real balls that hold a generated image", SHARE, MORE, _PRDC),
    "spectrum": Measure(
        "root mean square over spatial frequencies, of 1 to side // 2 cycles per shortest side, of the "
        "ratio of the mean power spectra in dB",
        "0 or more dB", LESS,
    ),
    "differences": Measure(
        "1-Wasserstein distance of the distributions of differences between neighbouring pixels, mean "
        "over the axes of space",
        "0 or more grey levels", LESS,
    ),
    "generated": Measure(
        "share of the generated images that a classifier takes for the class asked for", SHARE, MORE
    ),
    "real": Measure(
        "the same of real images of the class: what can be expected; `recognition_overall`: in the mix "
        "of classes that was drawn", SHARE, NEITHER,
    ),
    "threshold": Measure(
        "1st percentile of the held-out images' distances to the training images (root mean square of "
        "pixels in 0 to 1, at sides of at most 32, mirrored as in training)", SHARE, NEITHER,
    ),
    "share_below_threshold": Measure(
        "share of the generated images that are nearer to a training image than the threshold; they "
        "count as the held-out images mix the classes", SHARE, "near expected_below_threshold",
    ),
    "expected_below_threshold": Measure("what a generator that copies nothing has", SHARE, NEITHER),
    "generated_copies": Measure("generated images that equal a training image", "0 or more", LESS),
    "generated_repeats": Measure("generated images that equal another one", "0 or more", LESS),
    "generated_least": Measure(
        "least distance of a generated image to a training image", SHARE, NEITHER
    ),
    "generated_median": Measure(
        "median of these distances, in the held-out images' mix of classes", SHARE,
        "near held_out_median",
    ),
    "held_out_copies": Measure("held-out images that equal a training image", "0 or more", LESS),
    "held_out_least": Measure("least distance of a held-out image to a training image", SHARE, NEITHER),
    "held_out_median": Measure("median of these distances", SHARE, NEITHER),
}  # fmt: skip
