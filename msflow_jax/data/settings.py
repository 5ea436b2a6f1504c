"""The values and the meaning of every setting of the part ``data``."""

from msflow_jax.settings import SEED, Only, Setting, limit

_PHANTOMS = "phantoms", "phantom_cohort"
_FILES = "folder", "manifest", "masks", "cohort", "own"  # of the user's
_PACKED = "arrayrecord"
_HEADS, _FLAT = Only("data.name", ("phantoms",)), Only("data.dims", (2,))
_OTHERS = "other heads are drawn"
# Beside which others a setting has an effect.
_LIMITS: dict[str, Only | tuple[Only, ...]] = {
    "data.root": Only("data.name", but=_PHANTOMS),
    "data.spacing": Only("data.name", _FILES),
    "data.modality": Only("data.name", ("cohort", "phantom_cohort")),
    "data.resample": Only("data.name", ("cohort",)),
    "data.window": Only("data.name", (*_FILES, "phantom_cohort")),
    "data.slices.": (Only("data.name", (*_FILES, "phantom_cohort")), _FLAT),
    "data.fit": Only("data.name", but=(_PACKED,)),  # of all others at use too
    "data.seed": Only("data.name", (*_PHANTOMS, *_FILES, "tfds")),
    "data.duplicates": Only("data.name", (*_FILES, _PACKED)),
    "data.download": Only("data.name", but=(*_PHANTOMS, *_FILES, _PACKED)),
    "data.workers": Only("data.loader", ("grain",)),
    "data.phantoms.": Only("data.name", _PHANTOMS),
    "data.phantoms.contrast": (_HEADS, Only("data.phantoms.task", ("grade", "scanner"))),
    "data.phantoms.slices": (_HEADS._replace(why=_OTHERS), _FLAT._replace(why=_OTHERS)),
    "data.phantoms.view": Only("data.name", ("phantom_cohort",)),
    "data.phantoms.withhold": Only("data.name", ("phantom_cohort",)),
}
_TABLE: dict[str, Setting] = {
    "data.name": Setting(
        "",
        "phantoms, phantom_cohort, folder, manifest, masks, cohort, arrayrecord, tfds:NAME, of MedMNIST",
    ),
    "data.root": Setting("", "file or folder of the data; empty: where the source keeps them"),
    "data.side": Setting("[0, 16384]", "rows and columns; 0: 28 (MedMNIST), 32 (phantoms), as stored"),
    "data.dims": Setting("2 or 3", "images are pictures (volumes are cut into slices), or volumes"),
    "data.spacing": Setting("[0, inf)", "mm that a voxel of a volume is brought to; 0: as stored"),
    "data.map_classes": Setting(
        "", "names of the classes of masks (empty: of classes.txt, or numbers), or of an own .npz"
    ),
    "data.modality": Setting("", "which modality of a cohort is the image; empty: the only one"),
    "data.resample": Setting("", "whether volumes of an examination are brought onto one grid"),
    "data.window": Setting("(-inf, inf)", "lowest and highest value shown of CT, in Hounsfield units"),
    "data.slices.axis": Setting("axial or coronal or sagittal", "how volumes are cut into slices"),
    "data.slices.first": Setting("[0, 1]", "where the slices begin, as a share of the axis"),
    "data.slices.last": Setting("[0, 1]", "where the slices end, as a share of the axis"),
    "data.slices.spacing": Setting("[0, inf)", "mm between the slices taken; 0: every slice"),
    "data.fit": Setting(
        "pad or crop or stretch", "what happens to pictures that are not square, at use too"
    ),
    "data.channels": Setting("0 or 1 or 3", "1 grey, 3 colour, 0 as stored"),
    "data.seed": Setting(SEED, "seed of the phantoms and of the cut into splits"),
    "data.md5": Setting("", "digest that the data must have; empty: any"),
    "data.duplicates": Setting(
        "refuse or keep", "own pictures of equal content in two splits: refused, or kept with a warning"
    ),
    "data.outside": Setting(
        "", "whether tables, of evaluate --images too, may list files outside their own folder"
    ),
    "data.download": Setting("", "whether missing public data may be fetched"),
    "data.loader": Setting("device or grain", "all in the device's memory, or read while training"),
    "data.workers": Setting("[0, 1024]", "processes that read for grain; 0: threads"),
    "data.phantoms.task": Setting(
        "grade or scanner or contrast or contrast_half or contrast_grade", "what the label says"
    ),
    "data.phantoms.contrast": Setting("t1w or t2w or pdw or flair or t1ir or stir", "kind of image"),
    "data.phantoms.subjects": Setting("[10, 1000000]", "heads; fewer cannot be split in three"),
    "data.phantoms.slices": Setting(
        "[1, 64]", "images of a head; elsewhere it only changes which heads are drawn"
    ),
    "data.phantoms.noise": Setting("[0, 1]", "standard deviation, as a share of the brightest value"),
    "data.phantoms.bias": Setting("[0, 1]", "spread of the smooth shading, as a share"),
    "data.phantoms.view": Setting("frontal or lateral", "direction of the cohort's X-ray"),
    "data.phantoms.withhold": Setting(
        "none or disjoint", "disjoint: training subjects have text and X-ray, text and CT, or CT and MR"
    ),
    "data.phantoms.cache": Setting("", "whether phantoms are kept on disk once they are made"),
}  # fmt: skip
SETTINGS = limit(_TABLE, _LIMITS)

# The defaults of the part ``phantoms``; ``slices`` are per subject.
PHANTOMS = {
    "task": "grade", "contrast": "flair", "subjects": 480, "slices": 4, "noise": 0.02, "bias": 0.2,
    "view": "frontal", "withhold": "none", "cache": True,
}  # fmt: skip
