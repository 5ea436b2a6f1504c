"""Where things lie: what ``~`` means, and folders for what is kept between runs."""

import difflib
import os
import re
import stat
import tempfile
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

_PACKAGE = Path(__file__).resolve().parents[1]
# Those that are packaged: in the repository by a link, which a checkout may have as a file.
CONFIGS = next(
    (p for p in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if p.is_dir()),
    _PACKAGE / "configs",
)


def free(path: Path) -> Path:
    """Where nothing is yet: the path, or with ``-2``, ``-3`` and so on at its end."""
    found, turn = path, 1
    while found.exists():
        turn += 1
        found = path.with_name(f"{path.name}-{turn}")
    return found


def expand(path: str | Path) -> Path:
    """The path with ``~`` and ``~NAME`` at its beginning replaced by that home folder.

    Raises:
        FileNotFoundError: no such home folder is known, as in a container without a user's entry.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(
            f"{path}: no home folder of that name is known here (is HOME set?): write the whole path"
        ) from error


def resolved(path: Path) -> Path:
    """The whole path, links followed.

    Raises:
        OSError: links that lead in a circle.
    """
    try:
        whole = path.resolve()
        circle = whole.is_symlink()
    except RuntimeError:  # of Python before 3.13
        circle = True
    if circle:
        raise OSError(f"{path} is a link that leads in a circle: name another place")
    return whole


def find_config(given: str) -> str:
    """The file of a configuration and its argument: ``FILE[:ARGUMENT]``, or the name of a packaged one.

    A file comes first; ``configs/NAME.py`` is the packaged one where there is no such file.

    Raises:
        FileNotFoundError: neither is there.
    """
    found = re.fullmatch(r"(.+?)(:[^:/\\]*)?", str(expand(given)))
    assert found
    file, argument = Path(found[1]), found[2] or ""
    if file.is_file():
        return f"{file}{argument}"
    packaged = CONFIGS / f"{file.name.removesuffix('.py')}.py"
    named = str(file.parent) in (".", CONFIGS.name)
    if named and packaged.is_file():
        return f"{packaged}{argument}"
    near = difflib.get_close_matches(packaged.stem, [one.stem for one in CONFIGS.glob("*.py")], 1)
    hint = f": did you mean {near[0]}?" if named and near else ""
    raise FileNotFoundError(
        f"no configuration file {file}{hint or ' (msflow configs lists names)'}"
    )


def split_archive(given: str) -> tuple[Path, str] | None:
    """The archive and the split (or ``""``) of ``FILE.npz`` and ``FILE.npz:SPLIT``; None for others.

    Raises:
        FileNotFoundError: as :func:`expand`.
    """
    found = re.fullmatch(r"(.*\.npz)(?::(\w+))?", given, re.IGNORECASE)
    return (expand(found[1]), found[2] or "") if found else None


def home() -> Path | None:
    """The user's home folder; None where there is none, as in a container without a user's entry."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def user_cache(name: str) -> Path:
    """The library's folder of this name in the user's cache folder, made if need be.

    On Linux under ``XDG_CACHE_HOME``, else ``~/.cache``; elsewhere where the system keeps caches.
    Where that is not the user's alone or cannot be written, a folder for temporary files.
    """
    try:
        usual = [user_cache_path("msflow_jax") / name]
    except RuntimeError:  # no home folder is known; older versions of platformdirs return "~"
        usual = []
    return private_folder(*[p for p in usual if p.is_absolute()], _temporary() / name)


def user_data() -> Path | None:
    """The library's folder for what a user keeps for good, such as a salt; made if need be.

    On Linux under ``XDG_DATA_HOME``, else ``~/.local/share``. None where there is none that is the
    user's alone and can be written.
    """
    try:
        folder = user_data_path("msflow_jax")
    except RuntimeError:  # as in user_cache
        return None
    return folder if folder.is_absolute() and _is_private(folder) else None


def private_folder(*folders: Path) -> Path:
    """The first of these folders that is the user's alone; else a fresh one for this process.

    What is kept in such a folder is run (compiled programs) or believed (latents) later, so that nobody
    else may put anything there: it must belong to this user, as its parents must to this user or to the
    system. A folder that is made is closed to others.

    Args:
        *folders: places in order of preference; those that do not exist are made.
    """
    for folder in folders:
        if _is_private(folder):
            return folder
    return Path(tempfile.mkdtemp(prefix="msflow_jax-"))


def _temporary() -> Path:
    user = os.geteuid() if hasattr(os, "geteuid") else "user"
    return Path(tempfile.gettempdir()) / f"msflow_jax-{user}"


def _is_private(folder: Path) -> bool:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not hasattr(os, "geteuid"):
            return os.access(folder, os.W_OK)
        whole, user = folder.resolve(), os.geteuid()
        own = whole.stat()
        if own.st_uid != user:
            return False
        if own.st_mode & 0o022:
            whole.chmod(stat.S_IMODE(own.st_mode) & ~0o022)
        # Whoever owns the root of the file system may do everything; in a container it is not always 0.
        trusted = (user, 0, Path(whole.anchor).stat().st_uid)
        above = [parent.stat() for parent in whole.parents]
    except OSError:
        return False
    sound = all(s.st_uid in trusted and not _loose(s.st_mode) for s in above)
    return sound and os.access(whole, os.W_OK)


def _loose(mode: int) -> bool:
    """Whether anyone may exchange what lies in a folder: writable for all, and not sticky."""
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX
