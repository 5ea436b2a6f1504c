r"""Write the phantom cohort as the files of a hospital: a worked example without patients.

    msflow export-phantoms phantoms/ --subjects=40 --side=64
    msflow train --config=cohort_classify:cpu --config.data.root=phantoms/cohort.csv \
        --config.data.modality=flair

A folder for each subject holds MR volumes in six contrasts (NIfTI, int16 in the units of a scanner whose
gain differs between subjects), a CT (a DICOM series in Hounsfield units) and an X-ray (PNG); the table
names them, with a report, what is true of each head, and its split.
"""

import shlex
from collections.abc import Sequence

from msflow_jax.commands.common import parser, path, run
from msflow_jax.commands.numbers import whole
from msflow_jax.settings import SEED

_NEXT = (
    "msflow train --config=cohort_classify:cpu --config.data.root={} --config.data.modality=flair"
)


def main(arguments: Sequence[str]) -> None:
    """The command."""
    from msflow_jax import data
    from msflow_jax.data.phantoms.export import FORMATS, export

    flags = parser(__doc__ or "")
    flags.add_argument("folder", type=path, help="a new folder")
    flags.add_argument("--subjects", **whole("[10, inf)"), default=40, help="heads")
    flags.add_argument("--side", **whole("[8, 256]"), default=64, help="voxels along each axis")
    flags.add_argument(
        "--seed", **whole(SEED), default=0, help="of the heads and the cut into splits"
    )
    flags.add_argument("--ct", default="dicom", choices=FORMATS, help="how CT is written")
    flags.add_argument("--mr", default="nifti", choices=FORMATS, help="how MR is written")
    o = flags.parse_args(arguments)
    config = data.default_config("phantom_cohort")
    config.update({"side": o.side, "seed": o.seed, "dims": 3})
    config.phantoms.subjects = o.subjects
    table = export(config, o.folder, o.ct, o.mr)
    print(f"written: {table}")
    print(f"use it: {_NEXT.format(shlex.quote(str(table)))}")


if __name__ == "__main__":
    run(main)
