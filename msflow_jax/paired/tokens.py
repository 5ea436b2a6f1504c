"""Reports as token numbers and back, by a Hugging Face ``tokenizers`` file that the workdir keeps.

Of its own a tokeniser is made from the training reports: whole words with the blank before them, single
digits and signs, so that joining the tokens gives the text back letter by letter.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.paired.settings import REPORT
from msflow_jax.storage.atomic import write_atomically
from msflow_jax.storage.jsons import digest_of
from msflow_jax.storage.text import listed

PAD, START, END = 0, 1, 2
_OWN = 3  # numbers that are ours; those of the file come after
_UNKNOWN = "[UNK]"
# Regular expression of the library's engine: a word with the blank before it, a digit, a sign, a blank.
_WORD = r"[^\W\d_]+(?:-[^\W\d_]+)*"
_PIECES = rf" ?{_WORD}| ?\d|[^\w\s]|\s|\w"
_SHOWN = 8  # unknown words in a warning
_LONGEST = 255  # tokens of a text, where nothing says more


@dataclass(frozen=True)
class Tokeniser:
    """Texts to rows of numbers: 0 pads, 1 starts, 2 ends, the file's own numbers follow from 3 on.

    Attributes:
        content: the file, as JSON text.

    Raises:
        ValueError: the content is no tokeniser.
    """

    content: str
    _made: list[Any] = field(default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            self._made.append(_library().Tokenizer.from_str(self.content))
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f"no tokeniser of the library tokenizers: {error}") from error

    @classmethod
    def fit(cls, texts: Sequence[str], *, margin: float = 1.25) -> Tokeniser:
        """A tokeniser of all words of some texts.

        Args:
            texts: training reports.
            margin: length of a row over that of the longest text.

        Raises:
            ValueError: no text, or an empty one.
        """
        _check_texts(texts)
        lib = _library()
        made = lib.Tokenizer(lib.models.WordLevel(unk_token=_UNKNOWN))
        made.normalizer = lib.normalizers.NFC()
        made.pre_tokenizer = lib.pre_tokenizers.Split(lib.Regex(_PIECES), "isolated")
        made.decoder = lib.decoders.Fuse()
        stripped = sorted({text.strip() for text in texts})
        # A word at the beginning, or after a bracket, has no blank before it: every word is known with
        # and without. And all digits are, so that a number that no training report has can be written.
        words = {*re.findall(_WORD, " ".join(stripped)), *map(str, range(10))}
        both = [blank + word for blank in ("", " ") for word in sorted(words)]
        trainer = lib.trainers.WordLevelTrainer(
            vocab_size=30_000, special_tokens=[_UNKNOWN], show_progress=False
        )
        made.train_from_iterator([*stripped, *both], trainer)
        return cls._cutting(made, int(np.ceil(margin * _longest(made, stripped))))

    @classmethod
    def _cutting(cls, made: Any, most: int) -> Tokeniser:
        made.no_padding()
        made.enable_truncation(most)  # which the file keeps
        return cls(made.to_str())

    @classmethod
    def load(cls, path: Path, texts: Sequence[str] = ()) -> Tokeniser:
        """The tokeniser of a file, ours or anyone's of the library ``tokenizers``.

        Args:
            path: JSON file.
            texts: training reports; by the longest a file without ``truncation`` is cut.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no tokeniser; names the file.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: name the JSON file of a tokeniser")
        try:
            made = cls(path.read_text(encoding="utf-8"))
        except ValueError as error:  # also of bytes that are no text
            raise ValueError(f"{path}: {error}") from error
        if made._library.truncation:
            # Files of sentence encoders often pad as well: a text's end would lie behind padding, as far
            # as the longest text beside it is long.
            made._library.no_padding()
            return cls(made._library.to_str())
        return cls._cutting(made._library, _longest(made._library, texts) or _LONGEST)

    @property
    def digest(self) -> str:
        """Of which number stands for what; how long a text may be is left out."""
        found = json.loads(self.content)
        return digest_of({k: v for k, v in found.items() if k not in ("truncation", "padding")})

    def save(self, path: Path) -> None:
        """Writes the file atomically."""
        write_atomically(path, self.content.encode())

    @property
    def _library(self) -> Any:
        return self._made[0]

    @property
    def length(self) -> int:
        """Numbers in a row, the end among them."""
        cut = self._library.truncation
        return (cut["max_length"] if cut else _LONGEST) + 1

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return _OWN + self._library.get_vocab_size(with_added_tokens=True)

    def encode(self, texts: Sequence[str], source: str = "the report") -> np.ndarray:
        """Rows int32 ``[N, length]``: the text's tokens, the end, padding.

        A word that the tokeniser does not know, and a text that is too long, are named in a warning.

        Raises:
            ValueError: an empty text; names it.
        """
        _check_texts(texts, source)
        made, unknown, cut = self._library, set[str](), 0
        word = getattr(made.model, "unk_token", None)
        number = None if word is None else made.token_to_id(word)
        stripped = [text.strip() for text in texts]
        rows = np.full((len(texts), self.length), PAD, np.int32)
        for row, text, one in zip(rows, stripped, made.encode_batch(stripped), strict=True):
            if number is not None:
                spans = [s for i, s in zip(one.ids, one.offsets, strict=True) if i == number]
                unknown |= {text[a:b].strip() for a, b in spans}
            cut += bool(one.overflowing)
            ids = [*(_OWN + i for i in one.ids), END]
            row[: len(ids)] = ids
        if unknown:
            few = listed(sorted(unknown)[:_SHOWN])
            warnings.warn(
                f"{source}: no training report has the word(s) {few}, so that they mean nothing here",
                stacklevel=2,
            )
        if cut:
            warnings.warn(
                f"{source}: {cut} of {len(texts)} text(s) longer than {self.length - 1} tokens, cut",
                stacklevel=2,
            )
        return rows

    def decode(self, rows: np.ndarray) -> list[str]:
        """The texts of rows ``[N, T]``, each up to its end."""
        texts = []
        for row in np.asarray(rows):
            stop = np.flatnonzero((row == END) | (row == PAD))
            ids = row[: stop[0]] if len(stop) else row
            texts.append(self._library.decode([int(i) - _OWN for i in ids if i >= _OWN]).strip())
        return texts


def _longest(made: Any, texts: Sequence[str]) -> int:
    return max((len(one.ids) for one in made.encode_batch([t.strip() for t in texts])), default=0)


def _check_texts(texts: Sequence[str], source: str = "the training reports") -> None:
    if not len(texts):
        raise ValueError(f"{source}: there is no text")
    if empty := [i for i, text in enumerate(texts) if not str(text).strip()]:
        raise ValueError(f"{source}: text {empty[0]} is empty: leave the row out, or fill it in")


def check_library(model: Mapping[str, Any]) -> None:
    """Raises an ImportError for a part ``model`` that reads words, where the extra is missing."""
    reports = REPORT in model.get("modalities", ())
    if not reports and "tasks" not in model:
        return
    try:
        _library()
    except ImportError as error:
        without = ", or leave 'report' out of --config.model.modalities" if reports else ""
        raise ImportError(f"{error}{without}") from error


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError("words need the extra: pip install 'msflow_jax[text]'") from error
    return tokenizers
