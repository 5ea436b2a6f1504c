"""Archives that were cut, changed or made to hurt: an array or one line, never a traceback."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import strategies as st

from msflow_jax.storage.archives import read_npz
from tests.fuzzing import fuzz


def archive(save, **arrays):
    out = io.BytesIO()
    save(out, **arrays)
    return out.getvalue()


ARRAYS = {
    "images": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "labels": np.array([[0], [1]], np.int64),
}
WHOLE = (archive(np.savez, **ARRAYS), archive(np.savez_compressed, **ARRAYS))


def test_a_member_that_is_no_array(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("images", "text")
    with pytest.raises(ValueError, match=r"x\.npz: images is no array"):
        read_npz(path, ["images"], "")
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        read_npz(tmp_path / "none.npz", ["images"], "")


def test_no_archive_ends_in_a_traceback(tmp_path):
    path = tmp_path / "x.npz"

    def check(which, changes, cut):
        body = bytearray(WHOLE[which])
        for place, value in changes:
            body[place % len(body)] = value
        path.write_bytes(body[: len(body) - cut])
        try:
            found = read_npz(path, list(ARRAYS), "save it again")
        except ValueError as error:
            assert str(path) in str(error)
        else:
            assert all(isinstance(array, np.ndarray) for array in found.values())

    changes = st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=6)
    assert (
        fuzz(check, st.integers(0, 1), changes, st.sampled_from([0, 0, 1, 60, 200]), share=0.5) > 50
    )


# Changes within the text of a member's header, which numpy parses as Python.
HEADER = b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 4), }"
WORDS = st.lists(
    st.sampled_from(
        [b"{", b"}", b"(", b")", b"'descr'", b"'shape'", b"'fortran_order'", b":", b",", b"'|O'",
         b"'<f8'", b"'<M8[s]'", b"(2, 3)", b"-1", b"10**9", b"99999999999999", b"True", b"None", b"#",
         b"\\", b"\xff", b"'V0'", b"[('a', '<i4')]", b"1e9", b"lambda: 0", b"(" * 300, b"2L"]
    ),
    max_size=12,
).map(b" ".join)  # fmt: skip


def test_no_header_ends_in_a_traceback(tmp_path):
    path = tmp_path / "x.npz"

    def check(header, body, version):
        header += b" " * 20 + b"\n"
        size = len(header).to_bytes(2 if version == 1 else 4, "little")
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("images.npy", b"\x93NUMPY" + bytes([version, 0]) + size + header + body)
        try:
            assert isinstance(read_npz(path, ["images"], "save it again")["images"], np.ndarray)
        except ValueError as error:
            assert str(path) in str(error)

    near = st.tuples(st.integers(0, len(HEADER)), st.integers(0, 9), WORDS).map(
        lambda t: HEADER[: t[0]] + t[2] + HEADER[t[0] + t[1] :]
    )
    assert (
        fuzz(check, near | WORDS, st.binary(max_size=40), st.sampled_from([1, 2, 3]), share=0.5)
        > 50
    )
