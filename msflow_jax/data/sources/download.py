"""One file from its publisher's address to its place: checked and atomic."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

CHUNK = 1 << 18  # bytes per read


def download(url: str, target: Path, md5: str, timeout: float = 60.0) -> Path:
    """Fetches ``url`` into ``target``, which appears only once its MD5 is right.

    Prints the address and shows a progress bar. The bytes go to a temporary file in the target's
    folder, renamed at the end; nothing is left behind by a failure.

    Args:
        url: http or https address.
        target: where the file goes; its folder is made.
        md5: the published MD5 as 32 hexadecimal digits.
        timeout: seconds without a response after which the server counts as silent.

    Returns:
        ``target``.

    Raises:
        FileNotFoundError: the address cannot be reached or the transfer breaks off.
        ValueError: what came has another MD5, or the address is neither http nor https.
    """
    # Here and not above: pooch brings requests, which only a download needs.
    import pooch

    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url}: only http and https addresses are fetched")
    by_hand = f"To place it by hand: fetch {url} elsewhere and save it as {target}"
    print(f"Downloading {url} to {target}", flush=True)
    try:
        with _Bar(target.name) as bar:
            pooch.retrieve(
                url,
                known_hash=f"md5:{md5}",
                fname=target.name,
                path=target.parent,
                downloader=pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=timeout),
            )
        target.chmod(0o644)  # pooch makes private files; data sets are shared
    except OSError as error:  # those of requests are OSErrors, and some of them ValueErrors too
        raise FileNotFoundError(f"could not download {url}: {error}. {by_hand}") from error
    except ValueError as error:
        raise ValueError(
            f"{url} has another md5 than the published one: {error} Try again, the transfer may have "
            f"been damaged. {by_hand}"
        ) from error
    return target


class _Bar:
    """A bar of bytes on stderr, in the four words that pooch has for bars."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        self._progress = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
        self._task = self._progress.add_task(name, total=None)
        self.total = 0  # set by pooch, 0 where the server gives no length

    def update(self, done: int) -> None:
        """Counts further bytes."""
        self._progress.update(self._task, advance=done, total=self.total or None)

    def reset(self) -> None:
        """Starts again from 0: at the end pooch does so and counts all bytes at once."""
        if self.total:
            self._progress.update(self._task, completed=0)

    def close(self) -> None:
        """Does nothing: the bar ends with its context."""

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
