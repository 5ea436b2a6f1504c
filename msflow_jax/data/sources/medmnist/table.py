"""The MedMNIST v2 sets: a table made from ``medmnist.INFO`` of the authors' package, 3.0.2.

Yang et al., "MedMNIST v2", Scientific Data 10, 41 (2023). The package itself is not needed: it asks
for torch, and one table is all that is used of it. A test compares the two where it is installed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

SIDES = {2: (28, 64, 128, 224), 3: (28, 64)}  # published, by axes of space
RECORD = "https://zenodo.org/records/10519652/files"


@dataclass(frozen=True)
class Entry:
    """One set: ``md5`` is by side in the order of ``stored``, ``sizes`` is train, val, test.

    ``older`` are MD5s of earlier releases of its files, ``dims`` its axes of space.
    """

    channels: int
    task: str
    licence: str
    sizes: tuple[int, int, int]
    md5: tuple[str, ...]
    classes: tuple[str, ...]
    dims: int = 2
    older: tuple[str, ...] = ()

    @property
    def stored(self) -> tuple[int, ...]:
        """Sides of the published files."""
        return SIDES[self.dims]


def file_name(flag: str, side: int) -> str:
    """Returns the published file name, such as ``breastmnist.npz`` or ``breastmnist_64.npz``."""
    return f"{flag}.npz" if side == 28 else f"{flag}_{side}.npz"


def url(flag: str, side: int) -> str:
    """Returns where the authors publish the file."""
    return f"{RECORD}/{file_name(flag, side)}?download=1"


# fmt: off
TABLE = {
    "pathmnist": Entry(
        3, "multi-class", "CC BY 4.0", (89996, 10004, 7180),
        ("a8b06965200029087d5bd730944a56c1", "55aa9c1e0525abe5a6b9d8343a507616",
         "ac42d08fb904d92c244187169d1fd1d9", "2c51a510bcdc9cf8ddb2af93af1eadec"),
        ("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle",
         "normal colon mucosa", "cancer-associated stroma",
         "colorectal adenocarcinoma epithelium"),
    ),
    "chestmnist": Entry(
        1, "multi-label, binary-class", "CC BY 4.0", (78468, 11219, 22433),
        ("02c8a6516a18b556561a56cbdd36c4a8", "9de6cd0b934ebb5b7426cfba5efbae16",
         "db107e5590b27930b62dbaf558aebee3", "45bd33e6f06c3e8cdb481c74a89152aa"),
        ("atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule",
         "pneumonia", "pneumothorax", "consolidation", "edema", "emphysema", "fibrosis",
         "pleural", "hernia"),
    ),
    "dermamnist": Entry(
        3, "multi-class", "CC BY-NC 4.0", (7007, 1003, 2005),
        ("0744692d530f8e62ec473284d019b0c7", "b70a2f5635c6199aeaa28c31d7202e1f",
         "2defd784463fa5243564e855ed717de1", "8974907d8e169bef5f5b96bc506ae45d"),
        ("actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma",
         "benign keratosis-like lesions", "dermatofibroma", "melanoma", "melanocytic nevi",
         "vascular lesions"),
    ),
    "octmnist": Entry(
        1, "multi-class", "CC BY 4.0", (97477, 10832, 1000),
        ("c68d92d5b585d8d81f7112f81e2d0842", "e229e9440236b774d9f0dfef9d07bdaf",
         "0a97e76651ace45c5d943ee3f65b63ae", "abc493b6d529d5de7569faaef2773ba3"),
        ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    ),
    "pneumoniamnist": Entry(
        1, "binary-class", "CC BY 4.0", (4708, 524, 624),
        ("28209eda62fecd6e6a2d98b1501bb15f", "8f4eceb4ccffa70c672198ea285246c6",
         "05b46931834c231683c68f40c47b2971", "d6a3c71de1b945ea11211b03746c1fe1"),
        ("normal", "pneumonia"),
    ),
    "retinamnist": Entry(
        3, "ordinal-regression", "CC BY 4.0", (1080, 120, 400),
        ("bd4c0672f1bba3e3a89f0e4e876791e4", "afda852cc34dcda56f86ad2b2457dbcc",
         "e48e916a24454daf90583d4e6efb1a18", "eae7e3b6f3fcbda4ae613ebdcbe35348"),
        ("0", "1", "2", "3", "4"),
    ),
    "breastmnist": Entry(
        1, "binary-class", "CC BY 4.0", (546, 78, 156),
        ("750601b1f35ba3300ea97c75c52ff8f6", "742edef2a1fd1524b2efff4bd7ba9364",
         "363e4b3f8d712e9b5de15470a2aaadf1", "b56378a6eefa9fed602bb16d192d4c8b"),
        ("malignant", "normal, benign"),
    ),
    "bloodmnist": Entry(
        3, "multi-class", "CC BY 4.0", (11959, 1712, 3421),
        ("7053d0359d879ad8a5505303e11de1dc", "2b94928a2ae4916078ca51e05b6b800b",
         "adace1e0ed228fccda1f39692059dd4c", "b718ff6835fcbdb22ba9eacccd7b2601"),
        ("basophil", "eosinophil", "erythroblast",
         "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)", "lymphocyte",
         "monocyte", "neutrophil", "platelet"),
    ),
    "tissuemnist": Entry(
        1, "multi-class", "CC BY 4.0", (165466, 23640, 47280),
        ("ebe78ee8b05294063de985d821c1c34b", "123ece2eba09d0aa5d698fda57103344",
         "61b955355d7425a89687b06cca3ce0c2", "b077128c4a949f0a4eb01517f9037b9c"),
        ("Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule",
         "Glomerular endothelial cells", "Interstitial endothelial cells", "Leukocytes",
         "Podocytes", "Proximal Tubule Segments", "Thick Ascending Limb"),
    ),
    "organamnist": Entry(
        1, "multi-class", "CC BY 4.0", (34561, 6491, 17778),
        ("68e3f8846a6bd62f0c9bf841c0d9eacc", "2dcccc29b88e6da5a01161ef20cda288",
         "eeae80d0a227a8d099027e1b3cfd3b60", "50747347e05c87dd3aaf92c49f9f3170"),
        ("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver",
         "lung-left", "lung-right", "pancreas", "spleen"),
    ),
    "organcmnist": Entry(
        1, "multi-class", "CC BY 4.0", (12975, 2392, 8216),
        ("b9ceb9546e10131b32923c5bbeaea2b1", "3ce34a8724ea6f548e6db4744d03b6a9",
         "773c1f009daa3fe5d9a2a201b2a7ed94", "050f5e875dc056f6768abf94ec9995d1"),
        ("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver",
         "lung-left", "lung-right", "pancreas", "spleen"),
    ),
    "organsmnist": Entry(
        1, "multi-class", "CC BY 4.0", (13932, 2452, 8827),
        ("9ab87b696fb54e2a387ebe992d6ed5f1", "53a6d115339d874c25e309a994ff46d3",
         "ded0c5fa01a95dc4978b956f613e9b8e", "b354719e553fbbb2513d5533f52a4cb1"),
        ("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver",
         "lung-left", "lung-right", "pancreas", "spleen"),
    ),
    "organmnist3d": Entry(
        1, "multi-class", "CC BY 4.0", (971, 161, 610),
        ("a0c5a1ff56af4f155c46d46fbb45a2fe", "58a2205adf14a9d0a189cb06dc78bf10"),
        ("liver", "kidney-right", "kidney-left", "femur-right", "femur-left", "bladder", "heart",
         "lung-right", "lung-left", "spleen", "pancreas"),
        dims=3,
    ),
    "nodulemnist3d": Entry(
        1, "binary-class", "CC BY 4.0", (1158, 165, 310),
        ("8755a7e9e05a4d9ce80a24c3e7a256f3", "c47c5b7d457bf6332200d2ea6d64ecd8"),
        ("benign", "malignant"),
        dims=3,
    ),
    "adrenalmnist3d": Entry(
        1, "binary-class", "CC BY 4.0", (1188, 98, 298),
        ("bbd3c5a5576322bc4cdfea780653b1ce", "17721accfe9fb005146a47d33bc54b2f"),
        ("normal", "hyperplasia"),
        dims=3,
    ),
    "fracturemnist3d": Entry(
        1, "multi-class", "CC BY 4.0", (1027, 103, 240),
        ("6aa7b0143a6b42da40027a9dda61302f", "f01d7e6316aedf4210da0da5b7437b42"),
        ("buckle rib fracture", "nondisplaced rib fracture", "displaced rib fracture"),
        dims=3,
    ),
    "vesselmnist3d": Entry(
        1, "binary-class", "CC BY 4.0", (1335, 191, 382),
        ("b41fd4f7e7e2feedddb201585ecafa1b", "6bb274a8846e1097066dcd64e2c4520f"),
        ("vessel", "aneurysm"),
        dims=3, older=("2ba5b80617d705141f3f85627108fce8",),
    ),
    "synapsemnist3d": Entry(
        1, "binary-class", "CC BY 4.0", (1230, 177, 352),
        ("1235b78a3cd6280881dd7850a78eadb6", "43bd14ebf3af9d3dd072446fedc14d5e"),
        ("inhibitory synapse", "excitatory synapse"),
        dims=3,
    ),
}
# fmt: on


# Train augmentation. Blood, Derma and Retina: as in the MedSymmFlow code, as is none for Pneumonia.
# The others are this library's: mirrored ultrasound is still ultrasound, and tissue under a
# microscope has no up or left; organs, chests and retinal layers do, so those are not flipped.
# Of the volumes nodules, vessel segments and synapses have none either; organs are named by their
# side, and of ribs nobody says which axis is left and right. Adrenal glands, left and right ones, point
# one way along the last two axes; along the first a mirrored one lies nearly as close to others as it
# does (root mean square to the nearest training volume at side 16: 0.055, mirrored 0.069, along the
# other axes 0.09).
FLIPS: dict[str, tuple[str, ...]] = {
    "bloodmnist": ("horizontal", "vertical"),
    "dermamnist": ("horizontal", "vertical"),
    "retinamnist": ("horizontal", "vertical"),
    "pathmnist": ("horizontal", "vertical"),
    "tissuemnist": ("horizontal", "vertical"),
    "breastmnist": ("horizontal",),
    "octmnist": ("horizontal",),
    "nodulemnist3d": ("depth", "vertical", "horizontal"),
    "vesselmnist3d": ("depth", "vertical", "horizontal"),
    "synapsemnist3d": ("depth", "vertical", "horizontal"),
    "adrenalmnist3d": ("depth",),
}


def of_finding(name: str, finding: str) -> tuple[Entry, int | None]:
    """The entry of a set, of a multi-label one that of one finding, and the column of its labels.

    A model here has one class for each image. Findings that occur together are as many questions, each
    with a class, a calibration and thresholds of its own: as many models.

    Raises:
        ValueError: for a multi-label set without a finding, an unknown one, or one of another set.
    """
    entry = TABLE[name]
    if not entry.task.startswith("multi-label"):
        if finding:
            raise ValueError(f"{name} has one class for each image: name it without :{finding}")
        return entry, None
    if finding not in entry.classes:
        said = f"has no finding {finding!r}" if finding else "is multi-label"
        raise ValueError(
            f"{name} {said}: its {len(entry.classes)} findings can occur together, and a model here has "
            f"one class for each image. Take one finding against its absence, such as "
            f"--config.data.name={name}:{entry.classes[0]}, a model for each; the findings are "
            f"{', '.join(entry.classes)}"
        )
    # Without it an image may show any of the others: its absence is not health.
    classes = (f"no {finding}", finding)
    one = dataclasses.replace(entry, task="binary-class", classes=classes)
    return one, entry.classes.index(finding)


def stored_side(name: str, entry: Entry, side: int) -> int:
    """The side of the file to read: the same, of volumes also the smallest multiple of it.

    Raises:
        ValueError: there is no file of such a side.
    """
    fitting = [one for one in entry.stored if one % side == 0 and (one == side or entry.dims == 3)]
    if not fitting:
        also = ", or one that divides these" if entry.dims == 3 else ""
        raise ValueError(
            f"{name} is published at sides {', '.join(map(str, entry.stored))}, not {side}; "
            f"take one of these with --config.data.side{also}"
        )
    return fitting[0]
