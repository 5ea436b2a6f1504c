"""Small sets of four modalities, dealt to three sets of subjects, with or without maps of tissues."""

import dataclasses

import jax
import numpy as np

from msflow_jax.data import Info, Modality, Split, Splits

SIDE = 8
REPORTS = ("There is one lesion.", "There are two lesions.", "No lesion 12 mm.", "Wide ventricles.")
SETS = (("report", "xray"), ("report", "ct"), ("ct", "t1w"))
TISSUES = ("background", "grey matter", "lesion")


def split(count=12, sets=SETS, seed=0, side=SIDE):
    """Examples dealt to the sets in turn: each lacks what its set has not."""
    rng = np.random.default_rng(seed)
    arrays = {
        name: rng.integers(0, 256, (count, side, side, 1)).astype(np.uint8)
        for name in ("xray", "ct", "t1w")
    }
    mine = np.arange(count) % len(sets)
    present = {
        name: np.isin(mine, [i for i, one in enumerate(sets) if name in one]) for name in arrays
    }
    said = np.isin(mine, [i for i, one in enumerate(sets) if "report" in one])
    texts = [REPORTS[(i // len(sets)) % len(REPORTS)] if has else "" for i, has in enumerate(said)]
    return Split(
        {**arrays, "label": np.zeros(count, np.int32)},
        names=tuple(map(str, range(count))),
        groups=tuple(f"subject{seed}-{i}" for i in range(count)),
        truth={"report": np.array(texts, object)},
        kinds=dict.fromkeys(arrays, "image"),
        present=present,
    )


def splits(side=SIDE):
    """Three of them; test subjects have everything."""
    whole = split(6, ((*SETS[0], "ct", "t1w"),), 2, side)
    kinds = {name: Modality("image", (side, side, 1)) for name in ("xray", "ct", "t1w")}
    info = Info(
        name="phantom_cohort", classes=("a", "b"), channels=1, side=side, task="binary-class",
        licence="", md5="", source="tests", flips=(),
        modalities={**kinds, "label": Modality("label", ())},
    )  # fmt: skip
    return Splits(split(24, side=side), split(12, seed=1, side=side), whole, info)


def with_maps(data):
    """The splits with maps: bright pixels of CT are lesion, dark ones background."""

    def mapped(split):
        ct = split.arrays["ct"][..., 0]
        maps = (ct > 80).astype(np.uint8) + (ct > 200)
        return dataclasses.replace(split, arrays={**split.arrays, "map": maps.astype(np.uint8)})

    info = dataclasses.replace(data.info, map_classes=TISSUES)
    return dataclasses.replace(
        data, train=mapped(data.train), val=mapped(data.val), test=mapped(data.test), info=info
    )


def untimed(params):
    """Parameters of a drawing that does not look at the time: no solver follows random waves of it."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: 0 * leaf if "time" in str(path) else leaf, params
    )
