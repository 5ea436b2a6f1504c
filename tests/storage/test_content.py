"""What files hold, told by their bytes, and what may be printed."""

import gzip
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from msflow_jax.storage.content import describe_content, describe_file, printable


def made(write):
    out = io.BytesIO()
    write(out)
    return out.getvalue()


def picture(kind):
    return made(lambda out: Image.new("L", (4, 4)).save(out, kind))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"\0" * 300, "zeros only"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html><title>404</title>", "an HTML page"),
        (b"<?xml version='1.0'?>\n<html xmlns=''>", "an HTML page"),
        (b"<?xml version='1.0'?><Error/>", "XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (made(lambda out: np.savez(out, a=np.zeros(3))), "a zip archive"),
        (made(lambda out: zipfile.ZipFile(out, "w").close()), "an empty zip archive"),
        (made(lambda out: np.save(out, np.zeros(3))), "one NumPy array"),
        (gzip.compress(b"x", mtime=0), "a gzip file"),
        (pickle.dumps({}), "a Python pickle"),
        (pickle.dumps({}, 2), "a Python pickle"),
        (picture("PNG"), "a PNG image"),
        (picture("JPEG"), "a JPEG image"),
        (picture("BMP"), "a BMP image"),
        (picture("JPEG2000"), "a JPEG 2000 image"),
        (picture("JPEG2000")[85:], "a JPEG 2000 image"),  # the codestream alone (.j2k)
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIF image"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "an AVIF image"),
        (b"\0\0\0\x18ftypisom\0\0\2\0", "a video"),
        (b"\xff\x0a\x00\x10\xb0\x13", "a JPEG XL image"),
        (b"BMI,label", "text"),
        (b"{" + b'"a": 1}', "JSON"),
        (b'{"a": 1', "JSON that is cut or damaged"),
        ((lambda j: len(j).to_bytes(8, "little") + j)(b'{"__metadata__":{}}'), "a safetensors file"),
        (json.dumps(["x" * 9000]).encode()[:4096], "JSON"),
        (b"path,label\na.png,1\r\n", "text"),
        ("ü".encode() * 3000, "text"),
        ("a,b".encode("utf-16"), "text in UTF-16"),
        (bytes(range(256)), "bytes of no known kind"),
    ],
)  # fmt: skip
def test_what_bytes_look_like(content, words, tmp_path):
    assert words in describe_content(content[:4096])
    (tmp_path / "x").write_bytes(content)
    assert words in describe_file(tmp_path / "x")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Grün 脳 1.png", "Grün 脳 1.png"),
        ("a\x1b[2Jb\n", "a\\x1b[2Jb\\x0a"),
        ("\x9b31m", "\\x9b31m"),
        ("gnp\u202egpj.exe", "gnp\\u202egpj.exe"),
        ("\udcff.png", "\\xff.png"),
        ("a\u2028b", "a\\u2028b"),
    ],
)
def test_nothing_moves_the_cursor(text, seen):
    assert printable(text) == seen
    printable(text).encode()
