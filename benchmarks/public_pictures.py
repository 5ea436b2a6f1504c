"""Every picture of a folder, wheel or source distribution, read as the commands read it: counts.

    pip download --no-binary :all: --no-deps pillow==VERSION; pip download --no-deps pydicom nibabel
    python benchmarks/public_pictures.py pillow-*.tar.gz pydicom-*.whl nibabel-*.whl

Every file is given to the reader, whatever its suffix; one of another format must be refused by its
content. Prints for each argument how many gave pixels, how many one line with their name, and how many
anything else, which ends with status 1. ``--show`` prints the lines.
"""

import argparse
import sys
import tarfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from msflow_jax.data.sources.decoding import decode

# Source code and text, which nobody gives for a picture.
_TEXT = (".py", ".pyi", ".c", ".h", ".rst", ".md", ".txt", ".toml", ".cfg", ".in", ".yml", ".html")


def files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file in a folder, a tar or a zip."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield str(file.relative_to(path)), file.read_bytes()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    yield member.filename, archive.read(member)
    else:
        with tarfile.open(path) as archive:
            for entry in archive:
                if (file := archive.extractfile(entry)) is not None:
                    yield entry.name, file.read()


def outcome(name: str, content: bytes) -> tuple[str, str]:
    """``pixels``, ``one line`` or ``other``, and what was said."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = decode(content, Path(name))
    except ValueError as error:
        line = str(error)
        named = Path(name).name in line and "\n" not in line
        return ("one line" if named else "other"), line
    except Exception as error:
        return "other", repr(error)
    return ("pixels" if picture.size else "other"), f"{picture.dtype} {picture.shape}"


def main() -> None:
    """Counts for each argument."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("paths", nargs="+", type=Path, help="folders, wheels, source distributions")
    parser.add_argument("--show", action="store_true", help="print what was said of each")
    options = parser.parse_args()
    bad = 0
    for path in options.paths:
        counts: Counter[str] = Counter()
        said: list[str] = []
        for name, content in files(path):
            if Path(name).suffix.lower() in _TEXT or not content:
                continue
            kind, line = outcome(name, content)
            counts[kind] += 1
            if options.show or kind == "other":
                said.append(f"{kind}: {name}: {line}")
        print("\n".join([*said, f"{path.name}: " + ", ".join(
            f"{counts[kind]} {kind}" for kind in ("pixels", "one line", "other")
        )]))  # fmt: skip
        bad += counts["other"]
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
