"""Give a trained model to others: push what it needs, and a card, to the Hugging Face hub.

msflow push --workdir=W --repo=OWNER/NAME --license=mit --private
msflow push --workdir=W --repo=OWNER/NAME --dry-run=DIR

What opening the model needs goes, with the figures of the standing evaluation, and a list of SHA-256
(msflow.json): the checkpoints that are used, without what training goes on from. Names of images and
subjects, predictions, images, commands and paths stay here; so does the report unless --with-report.
--dry-run writes the folder and sends nothing. HF_ENDPOINT names another server than huggingface.co, and
`hf auth login` or HF_TOKEN says who you are. More: the page The Hugging Face hub of the
documentation.
"""

import re
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msflow_jax.commands.common import parser, path, run


def push(
    workdir: Path,
    repo: str,
    *,
    licence: str = "",
    private: bool = False,
    revision: str = "",
    features: bool = True,
    with_report: bool = False,
    dry_run: Path | None = None,
) -> None:
    """Pushes the model of a workdir.

    Args:
        workdir: workdir of a trained model.
        repo: ``OWNER/NAME`` on the hub; made where it is not there.
        licence: of the model, as the hub calls it, such as ``mit``; empty: none is given.
        private: whether nobody else shall see the repository.
        revision: branch; empty: the main one.
        features: whether features of training images go too, with which uncertainties compare.
        with_report: whether the report goes too, which shows images and names of their files.
        dry_run: new folder that is written in place of pushing.

    Raises:
        ValueError, OSError: a workdir, repository or folder that cannot be used, or no hub.
        ImportError: huggingface_hub is not installed.
    """
    from msflow_jax.progress import doing
    from msflow_jax.storage.atomic import check_new
    from msflow_jax.storage.hashes import CARD, write_hashes
    from msflow_jax.storage.hub import check_repo, upload
    from msflow_jax.workdir import open_workdir

    check_repo(repo)
    if not re.fullmatch(r"[a-z0-9.-]*", licence):
        raise ValueError(f"--license={licence!r}: name it as the hub does, such as apache-2.0")
    if dry_run:
        check_new(dry_run)
    flow = open_workdir(workdir)
    with _folder(dry_run) as folder:
        card = _write(flow, folder, repo, licence, features, with_report)
        files = write_hashes(folder)
        (folder / CARD).write_text(card, encoding="utf-8")
        size = sum((folder / name).stat().st_size for name in files) / 2**20
        if not dry_run:
            words = f"msflow push: step {flow.step}"
            with doing(f"sending {size:.1f} MiB"):
                where = upload(folder, repo, private=private, revision=revision, message=words)
    print(f"{len(files)} files ({size:.1f} MiB) of {workdir}: {dry_run or where}")
    if dry_run:
        print("nothing was sent")


@contextmanager
def _folder(place: Path | None) -> Any:
    """A folder to fill: a new one that stays, or one for the moment."""
    import tempfile

    from msflow_jax.storage.atomic import new_folder

    if place:
        with new_folder(place) as folder:
            yield folder
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def _write(
    flow: Any, folder: Path, repo: str, licence: str, features: bool, with_report: bool
) -> str:
    """Fills the folder, says what others will see, and returns the card."""
    import shutil
    import sys

    from msflow_jax import __version__
    from msflow_jax.families import verbs_of
    from msflow_jax.inference import publishing
    from msflow_jax.nets import count_parameters
    from msflow_jax.reports import card
    from msflow_jax.storage.hub import card_header
    from msflow_jax.storage.jsons import digest_of, read_object
    from msflow_jax.training.sequence import steps_used
    from msflow_jax.workdir import open_workdir

    found = publishing.stage(flow, folder, features=features)
    given = open_workdir(folder)  # what would not open is not sent
    known = publishing.feature_count(given)
    words = publishing.has_words(folder)
    print(f"not given away: {publishing.ABSENT}")
    told = []
    if not found:
        told.append("no evaluation of these parameters stands: the card has no figures")
    if known:
        told.append(
            f"features (vectors) of {known} training images go too: --no-features keeps them here"
        )
    if words:
        told.append(
            "tokeniser.json holds words of the training reports: look that no name is in it"
        )
    if with_report:
        page = flow.path / "report" / "index.html"
        if not page.is_file():
            raise ValueError(f"{flow.path} has no report: evaluate it, or leave out --with-report")
        (folder / "report").mkdir()
        shutil.copyfile(page, folder / "report" / "index.html")
        told.append("the report shows images of the data, names of their files, and commands")
        if other := publishing.reported_difference(flow):
            told.append(f"the report's figures are {other}: evaluate again before you push it")
    for line in told:
        print(f"warning: {line}", file=sys.stderr)
    verbs = verbs_of(flow.model)
    header = card_header(
        card.header_facts(verbs, flow.family.name, licence), card.header_scores(found),
        repo.partition("/")[2],
    )  # fmt: skip
    packages = read_object(folder / "manifest.json").get("packages", {})
    versions = ", ".join(f"{name} {one}" for name, one in packages.items())
    return card.write_card(
        header, repo, found, data=given.info,
        family=flow.family.name, verbs=verbs, steps=steps_used(flow.path, flow.config.train.select),
        licence=licence,
        parameters=int(count_parameters(flow.params)), features=known, words=words,
        report=with_report, versions=f"msflow_jax {__version__}; trained with {versions}",
        config_digest=digest_of(read_object(folder / "config.json")),
    )  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", required=True, type=path)
    flags.add_argument("--repo", required=True, metavar="OWNER/NAME")
    flags.add_argument(
        "--license", default="", help="of the model, as the hub names it, such as mit or cc-by-4.0"
    )
    flags.add_argument("--private", action="store_true", help="nobody else sees the repository")
    flags.add_argument("--revision", default="", help="branch, made if need be (default: main)")
    flags.add_argument(
        "--no-features", action="store_true",
        help="keep features of training images here, and with them the p-value of images from outside",
    )  # fmt: skip
    flags.add_argument(
        "--with-report", action="store_true", help="push the report too, which shows images"
    )
    flags.add_argument(
        "--dry-run",
        type=path,
        metavar="DIR",
        help="write what would be pushed to DIR, send nothing",
    )
    o = flags.parse_args(arguments)
    push(
        o.workdir, o.repo, licence=o.license, private=o.private, revision=o.revision,
        features=not o.no_features, with_report=o.with_report, dry_run=o.dry_run,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
