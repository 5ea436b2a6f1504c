"""Write understanding instances of a cohort as the public code of SynerMedGen reads them.

    msflow build-understanding phantoms OUT --count 2000
    msflow build-understanding cohort.csv OUT --count 2000 --arm questions --split test
    msflow build-understanding phantoms OUT --count 500 --withhold pdw-flair ct-t2w --held-out

OUT gets understanding.jsonl, a line for each instance, and images/ with the slices that they show. No
line and no file is named by a subject. COHORT is a table of examinations, a folder in the BIDS layout,
or the word phantoms; its volumes are cut into slices.
"""

from collections.abc import Sequence

from msflow_jax.commands.common import add_slices, parser, path, run
from msflow_jax.commands.numbers import whole
from msflow_jax.settings import SEED


def cohort(o):
    """The splits of the cohort that the flags name."""
    from msflow_jax import data

    config = data.default_config("phantom_cohort" if o.cohort == "phantoms" else "cohort")
    config.update({"side": o.side, "seed": o.data_seed, "dims": 2})
    config.slices.update({"axis": o.axis, "first": o.first, "last": o.last, "spacing": o.gap})
    if o.cohort == "phantoms":
        config.phantoms.subjects = o.subjects
    else:
        config.root = str(path(o.cohort))
    return data.load(config)


def routes(texts: Sequence[str], names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Routes SOURCE-TARGET as pairs; a modality's own name may hold a dash.

    Raises:
        ValueError: a text that is not two modalities with a dash in between.
    """
    known = {f"{source}-{target}": (source, target) for source in names for target in names}
    for text in texts:
        if text not in known:
            raise ValueError(
                f"--withhold {text} is no route SOURCE-TARGET of the modalities {', '.join(names)}"
            )
    return tuple(known[text] for text in texts)


def main(arguments: Sequence[str]) -> None:
    """The command."""
    from msflow_jax.storage.atomic import check_new, new_folder
    from msflow_jax.synergy import jsonl, phrases
    from msflow_jax.synergy.pool import sliced_modalities
    from msflow_jax.synergy.tasks import ARMS, Tasks

    flags = parser(__doc__ or "")
    flags.add_argument("cohort", help="table, folder, or the word phantoms")
    flags.add_argument("folder", type=path, metavar="out", help="a new folder")
    flags.add_argument("--count", **whole(), required=True, help="instances")
    flags.add_argument("--arm", default="aligned", choices=ARMS, help="aligned, or a control")
    flags.add_argument("--seed", **whole(SEED), default=0, help="of the instances")
    flags.add_argument("--split", default="train", choices=("train", "val", "test"))
    flags.add_argument(
        "--modalities", nargs="+", default=(), metavar="NAME", help="default: all that have slices"
    )
    flags.add_argument(
        "--withhold", nargs="+", default=(), metavar="SOURCE-TARGET", help="routes of no instance"
    )
    flags.add_argument(
        "--reach", **whole(), nargs=2, default=(1, 3), metavar=("NEAREST", "FARTHEST"),
        help="slices from the target to a wrong candidate",
    )  # fmt: skip
    flags.add_argument(
        "--held-out", action="store_true", help="phrasings that are kept from training"
    )
    flags.add_argument("--subjects", **whole("[10, inf)"), default=40, help="phantoms, at least 10")
    flags.add_argument(
        "--side", **whole("[0, inf)"), default=0, help="rows and columns; 0: 32, or as stored"
    )
    flags.add_argument(
        "--data-seed", **whole(SEED), default=0, help="of phantoms, and of the splits"
    )
    add_slices(flags)
    o = flags.parse_args(arguments)
    check_new(o.folder)
    split = cohort(o)[o.split]
    names = tuple(o.modalities) or sliced_modalities(split)
    words = {name: phrases.word(name) for name in names}
    withheld = routes(o.withhold, names)
    tasks = Tasks(split, names, words, o.arm, o.seed, withheld, tuple(o.reach), o.held_out)
    with new_folder(o.folder) as place:
        jsonl.write(place, tasks, o.count)
        images = sum(1 for _ in (place / jsonl.FOLDER).iterdir())
    print(f"written: {o.folder / jsonl.FILE} ({o.count} instances on {images} images)")


if __name__ == "__main__":
    run(main)
