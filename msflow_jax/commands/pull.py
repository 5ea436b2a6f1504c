"""Fetch a model that `msflow push` gave away, from the Hugging Face hub, as a workdir.

    msflow pull OWNER/NAME --output=W
    msflow classify --workdir=W --images=PATH

The files are data and are checked against the list in msflow.json; what could be code is refused, and
nothing else is fetched. HF_ENDPOINT names another server than huggingface.co. More:
the page The Hugging Face hub of the documentation.
"""

from collections.abc import Sequence
from pathlib import Path

from msflow_jax.commands.common import parser, path, run
from msflow_jax.commands.numbers import fraction


def pull(
    repo: str, output: Path, *, revision: str = "", most: float = 20, with_report: bool = False
) -> None:
    """Fetches a model, and opens it once.

    Args:
        repo: ``OWNER/NAME`` on the hub.
        output: workdir to make.
        revision: branch, tag or commit; empty: the main branch.
        most: GiB that are fetched at most.
        with_report: whether its report is fetched, a page that a browser would run.

    Raises:
        ValueError, OSError: no such repository, one that `msflow push` did not write, a file that is
            damaged or could be code, or an output that is there.
        ImportError: huggingface_hub is not installed.
    """
    from msflow_jax.progress import doing
    from msflow_jax.storage.atomic import check_new, new_folder
    from msflow_jax.storage.hashes import check_files
    from msflow_jax.storage.hub import check_repo, download
    from msflow_jax.workdir import open_workdir

    check_repo(repo)
    check_new(output)
    with new_folder(output) as folder:
        with doing(f"fetching {repo}"):
            files = download(repo, folder, revision, most * 2**30, with_report)
        try:
            check_files(folder, files)
            flow = open_workdir(folder)
        except (OSError, ValueError) as error:  # by its place for the moment otherwise
            said = str(error).replace(f"{folder}/", "").replace(str(folder), repo)
            raise ValueError(f"{repo}: {said}") from error
    print(f"{len(files)} files of {repo}, step {flow.step}: {output}")
    if not flow.calibration.known:
        print(f"not calibrated, and without thresholds: {flow.calibration.reason}")


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("repo", metavar="OWNER/NAME")
    flags.add_argument("--output", required=True, type=path, help="workdir to make")
    flags.add_argument("--revision", default="", help="branch, tag or commit (default: main)")
    flags.add_argument(
        "--max-gib", **fraction("(0, inf)"), default=20, help="GiB that are fetched at most"
    )
    words = "fetch the report too, if it was pushed: a page that a browser runs"
    flags.add_argument("--with-report", action="store_true", help=words)
    o = flags.parse_args(arguments)
    pull(o.repo, o.output, revision=o.revision, most=o.max_gib, with_report=o.with_report)


if __name__ == "__main__":
    run(main)
