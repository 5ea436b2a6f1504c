"""One file from its publisher's address to its place: checked, whole, or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

CHUNK = 1 << 18


def download(url: str, target: Path, md5: str, timeout: float = 60.0) -> Path:
    """Fetches `url` into `target`, which appears only once its MD5 is right.

    Prints the address and shows a progress bar. The bytes go to a temporary file in the target's
    folder, renamed at the end; nothing is left behind by a failure.

    Args:
        url: http or https address.
        target: Where the file goes; its folder is made.
        md5: The published MD5.
        timeout: Seconds without an answer after which the server counts as silent.

    Returns:
        `target`.

    Raises:
        FileNotFoundError: If the address cannot be reached or the transfer breaks off.
        ValueError: If what came has another MD5.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url}: only http and https addresses are fetched")
    by_hand = f"To place it by hand: fetch {url} elsewhere and save it as {target}"
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"Downloading {url} to {target}", flush=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as part:
            got = _transfer(url, part, target.name, timeout)
        if got != md5:
            raise ValueError(
                f"{url} has md5 {got}, the published one is {md5}: not kept. Try again, the "
                f"transfer may have been damaged. {by_hand}"
            )
        os.chmod(name, 0o644)  # mkstemp makes private files; data sets are shared
        os.replace(name, target)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise FileNotFoundError(f"could not download {url}: {error}. {by_hand}") from error
    finally:
        Path(name).unlink(missing_ok=True)
    return target


def _transfer(url: str, part: IO[bytes], what: str, timeout: float) -> str:
    """Copies the body of `url` to `part` and returns its MD5; a short body is an OSError."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    md5, got = hashlib.md5(usedforsecurity=False), 0
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with (
        urllib.request.urlopen(url, timeout=timeout) as response,
        Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress,
    ):
        length = response.headers.get("Content-Length")
        total = int(length) if length and length.isdigit() else None
        bar = progress.add_task(what, total=total)
        while chunk := response.read(CHUNK):
            part.write(chunk)
            md5.update(chunk)
            got += len(chunk)
            progress.advance(bar, len(chunk))
    if total is not None and got != total:
        raise OSError(f"the transfer broke off after {got} of {total} bytes")
    return md5.hexdigest()
