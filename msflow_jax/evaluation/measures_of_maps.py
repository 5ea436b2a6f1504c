"""The measures of segmentations; see ``evaluation/measures.py``."""

from msflow_jax.evaluation.measure import CHANCE, LESS, MORE, NEITHER, SHARE, Measure

SEGMENTATION = {
    "mean_dice_foreground": Measure(
        "mean of dice over the classes in either map but class 0, the background and padding",
        SHARE, MORE,
    ),
    "mean_dice": Measure(
        "mean of dice over the classes in either map, background included", SHARE, MORE
    ),
    "mean_iou": Measure("mean of iou over the classes in either map, background included", SHARE, MORE),
    "dice": Measure(
        "2 |A and B| / (|A| + |B|), of all pixels of all images together", SHARE, MORE, "Dice 1945"
    ),
    "iou": Measure("|A and B| / |A or B|, likewise", SHARE, MORE, "Jaccard 1912"),
    "image_dice": Measure(
        "mean of the images' own dice; images that have the class in neither map are left out, where "
        "one map alone has it the dice is 0", SHARE, MORE,
    ),
    "hd": Measure(
        "largest distance from a border pixel of one map to the other map's border, mean over the "
        "images that have the class in both; pixels are those of the images as the model reads them, at "
        "`data.side`, not of the files", "0 or more mm, or pixels (`unit`)", LESS, "Hausdorff 1914",
    ),
    "hd95": Measure(
        "the larger of the two 95th percentiles of these distances, one for each direction, likewise",
        "0 or more mm, or pixels (`unit`)", LESS, "as MONAI has it",
    ),
    "missed": Measure("images that have the class in the true map alone", "0 to N", LESS),
    "invented": Measure("images that have the class in the predicted map alone", "0 to N", LESS),
    "absent": Measure("images that have the class in neither", "0 to N", NEITHER),
    "unsized": Measure(
        "images whose files do not say how large their pixels are, where others of the data do: the "
        "distances of all are in pixels then", "0 to N", NEITHER,
    ),
}  # fmt: skip
MAP_UNCERTAINTY = {
    "auroc": Measure(
        "share of pairs of a wrong and a right pixel whose wrong one is less certain; uncertainty "
        "is the entropy of the class probabilities of all draws together, over log K; padding counts in "
        "none of these measures", CHANCE, MORE,
    ),
    "mean_wrong": Measure("mean uncertainty of the wrong pixels", SHARE, NEITHER),
    "mean_right": Measure("mean uncertainty of the right pixels", SHARE, NEITHER),
    "images_spearman": Measure(
        "rank correlation of the images' mean uncertainty with their share of wrong pixels", "-1 to 1",
        MORE, "Spearman 1904",
    ),
    "error": Measure("share of wrong pixels among those of an uncertainty", SHARE, NEITHER),
    "share": Measure("share of the pixels that have that uncertainty", SHARE, NEITHER),
    "above": Measure("lower end of the uncertainties of a row, which are 0.1 wide", SHARE, NEITHER),
}  # fmt: skip
