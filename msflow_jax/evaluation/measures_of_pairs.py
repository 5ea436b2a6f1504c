"""What an evaluation of several modalities measures; see :mod:`msflow_jax.evaluation.measures`."""

from msflow_jax.evaluation.measure import CHANCE, LESS, MORE, NEITHER, SHARE, Measure

_SSIM = "Wang et al. 2004"

TRANSLATION = {
    "psnr": Measure(
        "-10 log10 of the mean squared error, images in [0, 1]; of each image, then the mean; as all of "
        "these but frechet without images that have no foreground", "to 100 dB (no error)", MORE,
    ),
    "ssim": Measure(
        "structural similarity, Gaussian window of 11 pixels and sigma 1.5, mirrored at the border",
        "-1 to 1", MORE, _SSIM,
    ),
    "ms_ssim": Measure(
        "the same over as many of five scales as the window fits into, weights brought to a sum of 1; "
        "only where the window lies within the image", SHARE, MORE, "Wang et al. 2003",
    ),
    "mae": Measure("mean absolute error, images in [0, 1]; on the page in HU of CT", SHARE, LESS),
    "psnr_inside": Measure("psnr of the foreground: brighter than 12 in source or target", "dB", MORE),
    "ssim_inside": Measure("mean of ssim over the foreground", "-1 to 1", MORE, _SSIM),
    "mae_inside": Measure("mae of the foreground", SHARE, LESS),
    "frechet": Measure(
        "Frechet distance to the true images, of 32 features of a small classifier of the target's "
        "training images; not an FID; compare only rows of one table", "0 or more", LESS,
        "Dowson and Landau 1982",
    ),
    "coverage": Measure(
        "share of foreground pixels whose true value lies in the central interval of the draws", SHARE,
        NEITHER,
    ),
    "coverage_normal": Measure(
        "the same of mean and deviation of the draws, by Student's t with K - 1 degrees", SHARE, NEITHER
    ),
    "crps": Measure(
        "mean |x_i - y| - sum |x_i - x_j| / (2 K (K - 1)) of K draws", "0 or more", LESS, "Ferro 2014"
    ),
    "auroc": Measure(
        "area under the ROC curve of the draws' deviation as a finder of the largest tenth of errors",
        CHANCE, MORE,
    ),
}  # fmt: skip
PARTNERS = {
    "influence": Measure(
        "sqrt of E|v(z, partner) - v(z, another subject's)|^2 / E|v(z, partner)|^2 at clock 0.5",
        "0 or more", NEITHER,
    ),
    "psnr": Measure("of one draw beside its partner, another subject's, none; equal noise", "dB", MORE),
    "gain": Measure("differences of these, image by image", "dB", MORE),
}  # fmt: skip
ANATOMY = {
    "dice": Measure(
        "2 |A and B| / (|A| + |B|) of the segmenter's class and the true one, over all pixels of all "
        "images; mean: over the classes of the true maps but the background", SHARE, MORE, "Dice 1945",
    ),
    "recall": Measure(
        "found / (found + lost): lesions, connected with corners, that share a pixel with one of the "
        "segmenter's, each with one alone", SHARE, MORE,
    ),
    "precision": Measure("found / (found + added)", SHARE, MORE),
}  # fmt: skip
RETRIEVAL = {
    "recall_1": Measure(
        "share whose nearest is right: the partner, what equals it, or the partner of an equal query",
        SHARE, MORE,
    ),
    "recall_5": Measure("the same among the five nearest", SHARE, MORE),
    "auroc": Measure("share of wrong partners that a right one is nearer than", CHANCE, MORE),
    "chance": Measure("recall_1 of a random order", SHARE, NEITHER),
}  # fmt: skip
FACTS = {
    "all": Measure(
        "share of the facts that linear classifiers of real training images' pixels find, mean over "
        "presence, side, lobe and size of lesions, ventricles, and thirds of the skull's thickness and "
        "breadth; beside it that of each fact", SHARE, MORE,
    ),
}  # fmt: skip
TEXTS = {
    "f1": Measure("2 right / (stated + true), over the facts of all reports", SHARE, MORE),
    "precision": Measure("right / stated facts", SHARE, MORE),
    "recall": Measure("right / true facts", SHARE, MORE),
    "exact": Measure("share of the reports that state exactly the true facts", SHARE, MORE),
    "agreement": Measure("mean f1 of the facts of pairs of draws", SHARE, NEITHER),
    "bleu_n": Measure(
        "corpus BLEU of n-grams up to n, tokeniser 13a; as in the others a character is a word in "
        "scripts without blanks (Chinese, Japanese)", SHARE, MORE, "sacrebleu",
    ),
    "rouge_l": Measure(
        "F measure of the longest common subsequence of words of any script", SHARE, MORE, "rouge-score",
    ),
    "meteor_exact_stem": Measure("METEOR without synonyms", SHARE, MORE, "nltk"),
}  # fmt: skip
