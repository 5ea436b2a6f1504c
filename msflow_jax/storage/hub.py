"""The Hugging Face hub, or a server that speaks as it does (``HF_ENDPOINT``): sending and reading."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msflow_jax.storage.hashes import CARD, RECORD, read_hashes

_OWN = (RECORD, CARD, ".gitattributes")
_CONFIG = "config.json"  # tells one model from another
_LONGEST = 300  # of what a server says


def _hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.utils
    except ImportError as error:
        raise ModuleNotFoundError(
            "the hub is reached with huggingface_hub, which is not installed: "
            "pip install 'msflow_jax[hub]'"
        ) from error
    return huggingface_hub


def card_header(facts: dict[str, Any], scores: Sequence[dict[str, Any]], name: str) -> str:
    """The YAML at the top of a model card.

    Args:
        facts: entries such as ``license`` and ``tags``; those that are None are left out.
        scores: settings of ``huggingface_hub.EvalResult``, one for each measure; may be empty.
        name: name of the model.
    """
    hub = _hub()
    results = [hub.EvalResult(**one) for one in scores] or None
    return hub.ModelCardData(model_name=name, eval_results=results, **facts).to_yaml()


@contextmanager
def _talking(repo: str, folder: Path) -> Iterator[Any]:
    """The hub's interface; whatever goes wrong with it is one line that names the repository.

    Names of files are told without the folder that they lie in for the moment.
    """
    hub, endpoint = _hub(), os.environ.get("HF_ENDPOINT") or None
    hub.utils.disable_progress_bars()
    api = hub.HfApi(endpoint=endpoint, library_name="msflow_jax")
    try:
        yield api
    except Exception as error:  # the library's own, of its HTTP client, and of the system
        said = " ".join(str(error).replace(f"{folder}/", "").split())[:_LONGEST]
        said = said or type(error).__name__
        kind = ValueError if isinstance(error, ValueError) else OSError
        raise kind(f"{repo} on {api.endpoint}: {said}") from error


def check_repo(repo: str) -> str:
    """The name of a repository, ``OWNER/NAME``.

    Raises:
        ValueError: it is none.
        ImportError: huggingface_hub is not installed.
    """
    if repo.count("/") != 1:
        raise ValueError(f"{repo!r} is no repository: name it as OWNER/NAME")
    _hub().utils.validate_repo_id(repo)
    return repo


def upload(folder: Path, repo: str, *, private: bool, revision: str, message: str) -> str:
    """Sends a folder with a list of hashes; files of an earlier push that are not in it are removed.

    Args:
        folder: folder to send.
        repo: ``OWNER/NAME``; made where it is not there.
        private: whether nobody else shall see it.
        revision: branch, made where it is not there; empty: the main one.
        message: of the commit.

    Returns:
        The address of the commit.

    Raises:
        ValueError: the repository holds something else, or is public where ``private`` is wanted.
        OSError: the hub says no, or cannot be reached.
    """
    with _talking(repo, folder) as api:
        # None leaves it to the rule of an organisation, where False would overrule it.
        api.create_repo(repo, private=private or None, exist_ok=True)
        if revision:
            api.create_branch(repo, branch=revision, exist_ok=True)
        info = api.repo_info(repo, revision=revision or None)
        if private and not info.private:
            raise ValueError("it is there and public: make it private on the hub first")
        print(
            f"{repo} is {'private' if info.private else 'public: everybody can read it'}",
            flush=True,
        )
        there = {one.rfilename for one in info.siblings or ()}
        if RECORD not in there and (others := sorted(there - {*_OWN})):
            raise ValueError(
                f"it holds what `msflow push` did not write ({others[0]}): name another repository"
            )
        stale: list[str] = []
        if RECORD in there:
            with tempfile.TemporaryDirectory() as cache:
                old = api.hf_hub_download(repo, RECORD, revision=info.sha, local_dir=cache)
                before = read_hashes(Path(old))
            now = read_hashes(folder / RECORD)
            if before.get(_CONFIG) != now.get(_CONFIG):
                warnings.warn(
                    f"{repo} held a model of another configuration, which this one replaces: it stays "
                    "in the history of the repository",
                    stacklevel=2,
                )
            stale = sorted((before.keys() & there) - now.keys())
            if kept := [one for one in stale if "features-" in one]:
                warnings.warn(
                    f"{repo}: {kept[0]} of an earlier push stays in the history of the repository: "
                    "delete the repository, or squash its history, to take it back",
                    stacklevel=2,
                )
        found = api.upload_folder(
            repo_id=repo, folder_path=folder, revision=revision or None, commit_message=message,
            delete_patterns=stale or None,
        )  # fmt: skip
        return str(found.commit_url)


def download(
    repo: str, folder: Path, revision: str, most: float, pages: bool = False
) -> dict[str, str]:
    """Reads the files that a repository's list of hashes names, and its card; nothing else.

    Args:
        repo: ``OWNER/NAME``.
        folder: an empty folder.
        revision: branch, tag or commit; empty: the main branch.
        most: bytes that are fetched at most.
        pages: whether a report that was pushed too is fetched: a page that a browser would run.

    Returns:
        The files with the SHA-256 that they shall have; they are not checked yet.

    Raises:
        ValueError: nothing that ``msflow push`` wrote, or a list that names other than data.
        OSError: there is no such repository, or the hub cannot be reached.
    """
    with _talking(repo, folder) as api, tempfile.TemporaryDirectory() as cache:
        info = api.repo_info(repo, revision=revision or None, files_metadata=True)
        there = {one.rfilename: one.size or 0 for one in info.siblings or ()}
        if RECORD not in there:
            raise ValueError(f"it holds no model that `msflow push` wrote ({RECORD} is missing)")
        given: Any = {"revision": info.sha, "cache_dir": cache, "local_dir": folder}
        api.hf_hub_download(repo, RECORD, **given)
        files = read_hashes(folder / RECORD)
        if not pages:
            files = {name: one for name, one in files.items() if not name.endswith(".html")}
        size = sum(there.get(name, 0) for name in files)
        if not size <= most:
            raise ValueError(
                f"it has {size / 2**30:.1f} GiB, and {most / 2**30:g} are fetched at most: --max-gib "
                "allows more"
            )
        if missing := sorted(files.keys() - there.keys()):
            raise ValueError(f"{missing[0]} of {RECORD} is missing: it was not pushed whole")
        api.snapshot_download(repo, allow_patterns=[*files, CARD], **given)
        shutil.rmtree(folder / ".cache", ignore_errors=True)
    return files
