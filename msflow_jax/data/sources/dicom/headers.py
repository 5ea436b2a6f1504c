"""The header of a DICOM object, with one line for each way in which it can be broken.

Of the header only what ``KEYWORDS`` names is kept: no name, no date. No text of pydicom on a header is
passed on, which may quote what stands there.
"""

from __future__ import annotations

import io
import logging
import re
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from msflow_jax.data.sources.decoding import MAX_BYTES
from msflow_jax.storage.archives import Explained
from msflow_jax.storage.content import describe_content

if TYPE_CHECKING:
    from pydicom import Dataset

SUFFIXES = frozenset((".dcm", ".dicom", ".ima"))
HEAD = 4096  # bytes that tell DICOM
KEYWORDS = tuple(re.findall(r"\w+", """
    ImageType SOPClassUID Modality PatientID IssuerOfPatientID StudyInstanceUID SeriesInstanceUID
    PatientOrientation AcquisitionNumber PresentationIntentType EchoTime InversionTime DiffusionBValue
    TemporalPositionIdentifier PresentationLUTShape
    ImagePositionPatient ImageOrientationPatient PixelSpacing GridFrameOffsetVector
    ImagerPixelSpacing NominalScannedPixelSpacing PixelAspectRatio
    SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence DoseGridScaling
    SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames Rows Columns
    BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit
    FloatPixelPaddingValue DoubleFloatPixelPaddingValue FloatPixelPaddingRangeLimit
    DoubleFloatPixelPaddingRangeLimit WindowCenter WindowWidth VOILUTFunction VOILUTSequence
    RescaleIntercept RescaleSlope RescaleType ModalityLUTSequence
    RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor
    BluePaletteColorLookupTableDescriptor RedPaletteColorLookupTableData
    GreenPaletteColorLookupTableData BluePaletteColorLookupTableData
    SegmentedRedPaletteColorLookupTableData SegmentedGreenPaletteColorLookupTableData
    SegmentedBluePaletteColorLookupTableData
"""))  # fmt: skip
PIXELS = ("FloatPixelData", "DoubleFloatPixelData", "PixelData")
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_LOCK = threading.RLock()  # filters of warnings belong to the whole process


class NoPicture(Explained):
    """A DICOM file that is sound and holds no picture: an index, a report, a plan."""


def is_dicom(head: bytes) -> bool:
    """Whether a file's first bytes are of DICOM: by its mark, or by a plausible header without one.

    Args:
        head: the first 132 bytes or more.
    """
    if head[128:132] == b"DICM":
        return True
    if len(head) < 16:
        return False
    for order in ("little", "big"):
        group, element = (int.from_bytes(head[i : i + 2], order) for i in (0, 2))
        if group not in (0x0002, 0x0008) or element > 0x0100:
            continue
        if re.fullmatch(rb"UL|CS|UI|SH|DA|TM|OB|LO", head[4:6]):
            return True
        # Without types of values: the length of the first one, which is even and short.
        length = int.from_bytes(head[4:8], "little")
        if order == "little" and length % 2 == 0 and length <= 64:
            return True
    return False


@contextmanager
def reading(path: Path | str = "") -> Iterator[None]:
    """Within it pydicom says nothing: its warnings and errors quote values of the header.

    Args:
        path: what is read, for the line that takes the place of an error of pydicom.
    """
    logger = logging.getLogger("pydicom")
    with _LOCK, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pydicom")
        before, logger.propagate = logger.propagate, False
        try:
            yield
        except (Explained, ModuleNotFoundError, MemoryError):
            raise
        except (
            Exception
        ) as error:  # whatever a damaged header raises, as late as a value is looked at
            if isinstance(error, OSError) and error.errno is not None:
                raise
            kind = type(error).__name__
            raise Explained(f"{path} is cut short or damaged ({kind}): copy it again") from None
        finally:
            logger.propagate = before


def parse(data: bytes | None, path: Path) -> Dataset:
    """The part of an object's header that is used, and its pixels as they are stored.

    Args:
        data: content of the file; None: the header of ``path`` is read, and nothing after it.
        path: where it came from, for errors.

    Raises:
        NoPicture: a sound file without pictures.
        ValueError: no DICOM, cut off or damaged; names ``path``.
        ModuleNotFoundError: pydicom is not installed.
    """
    if data is not None:
        return _parsed(io.BytesIO(data), path, pixels=True)
    try:
        with path.open("rb") as file:
            return _parsed(file, path, pixels=False)
    except OSError as error:
        raise Explained(f"{path} cannot be read ({error.strerror})") from error


def _parsed(file: BinaryIO, path: Path, pixels: bool) -> Dataset:
    head = file.read(HEAD)
    if not is_dicom(head):
        raise Explained(f"{path} is no DICOM file: it holds {describe_content(head)}")
    if _DEFLATED in head:
        _check_inflated(head + file.read(), path)
    file.seek(0)
    pydicom = pydicom_package()
    found = pydicom.dcmread(file, force=True, stop_before_pixels=not pixels, specific_tags=_tags())
    if "DICOMDIR" in path.name.upper() or str(meta(found, "MediaStorageSOPClassUID")).endswith(
        "10008.1.3.10"
    ):
        raise NoPicture(
            f"{path} is an index of DICOM files (DICOMDIR) and no picture: leave it out"
        )
    if pixels and not any(key in found for key in PIXELS):
        raise without_pixels(found, path)
    return found


def without_pixels(found: Dataset, path: Path) -> Explained:
    """What is wrong with an object that holds no picture."""
    if kind := modality(found):
        return NoPicture(f"{path} has no pixels ({kind}): leave it out")
    return Explained(f"{path} has no pixels or is cut short: copy it again or leave it out")


@cache
def _tags() -> list[Any]:
    return [_tag(keyword) for keyword in (*KEYWORDS, *PIXELS)]


@cache
def _tag(keyword: str) -> Any:
    from pydicom.tag import Tag

    return Tag(keyword)


def get(found: Dataset, keyword: str) -> Any:
    """A value of the header, or None; a third of the time of ``Dataset.get`` with a keyword."""
    element = found.get(_tag(keyword))
    return None if element is None else element.value


def pydicom_package() -> Any:
    """The package pydicom.

    Raises:
        ModuleNotFoundError: it is not installed; says how to install it.
    """
    try:
        import pydicom
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "DICOM needs the package pydicom: pip install 'msflow_jax[medical]'"
        ) from None
    return pydicom


def _check_inflated(data: bytes, path: Path) -> None:
    """Refuses what inflates beyond the limit, before pydicom inflates the whole of it."""
    if data[128:132] != b"DICM" or data[132:136] != b"\x02\x00\x00\x00":
        raise Explained(f"{path} is deflated and its header has no length: save it uncompressed")
    start = 144 + int.from_bytes(data[140:144], "little")
    try:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], MAX_BYTES + 1)
    except zlib.error:
        raise Explained(f"{path} is cut short or damaged (deflated): copy it again") from None
    if len(inflated) > MAX_BYTES:
        raise Explained(f"{path} inflates to more than {MAX_BYTES:,} bytes: shrink it")


def meta(found: Dataset, keyword: str) -> Any:
    return getattr(found, "file_meta", {}).get(keyword, "")


def _word(found: Dataset, keyword: str) -> str:
    """A short code of the header; empty where something else stands there, which may be anything."""
    text = str(get(found, keyword) or "")
    return text if re.fullmatch(r"[A-Z0-9_ ]{1,16}", text) else ""


def modality(found: Dataset) -> str:
    """DICOM's word for the kind of scanner; empty where there is none."""
    return _word(found, "Modality").strip()


def number(found: Dataset, keyword: str, path: Path, default: float | None = None) -> float | None:
    """A number of the header.

    Raises:
        ValueError: something there that is no finite number.
    """
    try:
        given = get(found, keyword)
        if given is None or given == "":
            return default
        value = float(given)
    except (TypeError, ValueError, OverflowError):
        value = np.nan
    if not np.isfinite(value):
        raise Explained(f"{path} is damaged: its {keyword} is no number")
    return value


def items(found: Dataset, sequence: str, frames: int) -> list[Dataset]:
    """Of each frame what a functional group says: its own group first, the shared one, the object."""
    shared = first(first(found, "SharedFunctionalGroupsSequence"), sequence)
    own = get(found, "PerFrameFunctionalGroupsSequence") or []
    if not own and shared is None:
        return [found] * frames
    default = found if shared is None else shared
    groups = [first(group, sequence) for group in own[:frames]]
    return [default if g is None else g for g in groups + [None] * (frames - len(groups))]


def first(found: Any, sequence: str) -> Any:
    given = None if found is None else get(found, sequence)
    return given[0] if given else None
