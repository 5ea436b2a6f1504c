"""What a file holds, by its first bytes and not by its name; and names that are safe to print."""

import json
import unicodedata
from pathlib import Path

_LOOK = 4096  # bytes that tell a kind; those of a tar archive end at 262

# First bytes, and what they begin.
_MAGIC = (
    (b"version https://git-lfs.github.com/spec", "a Git LFS pointer (run `git lfs pull`)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"(\xb5/\xfd", "a Zstandard file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x93NUMPY", "one NumPy array (.npy)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"GGUF", "a GGUF file"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"{\\rtf", "RTF text"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document (.xls, .doc)"),
    (b"\x7fELF", "a program"),
)  # fmt: skip
# Of files of the ISO base media format, by their main brand.
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_BRANDS = dict.fromkeys(_HEIF, "a HEIF image") | dict.fromkeys((b"avif", b"avis"), "an AVIF image")
FOREIGN = ("JPEG 2000 image", "JPEG XL image", "HEIF image", "AVIF image")  # sound, and not read
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Note(UserWarning):
    """What a user should know and need not worry about: commands print it as it is."""


class OfArrays(UserWarning):
    """What is said of arrays that a caller gives. Commands and services leave it out: of files their
    readers have said it."""


def describe_content(head: bytes) -> str:
    """What bytes look like, in words that end a sentence: "it holds an HTML page".

    Args:
        head: the first 4 KiB of a file, or the whole of it.

    Returns:
        For instance ``an HTML page``, ``nothing (an empty file)``, ``a Git LFS pointer (...)``, ``a zip
        archive``, ``a Python pickle``, ``JSON``, ``text`` or ``bytes of no known kind``.
    """
    if not head:
        return "nothing (an empty file)"
    if not head.strip(b"\x00"):
        return "zeros only (a copy that broke off?)"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    start = text[:1024].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in start:
        return "an HTML page (an error page saved in place of the file?)"
    if start.startswith((b"<?xml", b"<")):
        return "XML"
    for magic, words in _MAGIC:
        if head.startswith(magic):
            return words
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "a BMP image"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "a video")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP image"
    if head[128:132] == b"DICM":
        return "a DICOM file"
    if head[257:262] == b"ustar":
        return "a tar archive"
    if _is_safetensors(head):
        return "a safetensors file"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a Python pickle (which could run any code, and is never read)"
    return _text(head)


def describe_file(path: Path) -> str:
    """:func:`describe_content` of a file's first bytes.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return describe_content(file.read(_LOOK))


def printable(text: str, keep: str = "") -> str:
    r"""Text in which nothing moves the cursor, colours or reverses a terminal's line.

    Control characters, line and paragraph separators, marks of writing direction and what is no
    character at all (of a file name that is not UTF-8) become ``\x1b`` and the like; the result can
    always be encoded as UTF-8. Everything else stays as it is.

    Args:
        text: any text.
        keep: characters to leave, such as line feeds.
    """
    return "".join(_escape(c) if _moves(c) and c not in keep else c for c in text)


def _moves(character: str) -> bool:
    if character.isascii():
        return not character.isprintable()
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or "\u202a" <= character <= "\u202e"
        or "\u2066" <= character <= "\u2069"
        or character in "\u200e\u200f\u061c"
    )


def _escape(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that Python could not decode (surrogateescape)
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def _is_safetensors(head: bytes) -> bool:
    """Eight bytes of length, then JSON."""
    length = int.from_bytes(head[:8], "little")
    return 2 <= length < 1 << 27 and head[8:9] == b"{" and (len(head) < 10 or head[9:10] in b'"}')


def _text(head: bytes) -> str:
    if head.startswith(_UTF16):
        return "text in UTF-16"
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or len(head) < _LOOK:  # not merely cut within a character
            return "bytes of no known kind"
        text = head[: error.start].decode("utf-8-sig")
    if sum(_moves(c) for c in text) > sum(c in "\r\n\t\f" for c in text):
        return "bytes of no known kind"
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
        except RecursionError:
            return "text"
        except ValueError:
            return "JSON" if len(head) >= _LOOK else "JSON that is cut or damaged"
        return "JSON"
    return "text"
