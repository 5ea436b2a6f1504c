"""Which parameters something was measured with: their training step, and a digest of them.

A step alone does not tell: a workdir whose checkpoints were removed is trained to the same step again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from msflow_jax.storage.damage import unreadable
from msflow_jax.storage.jsons import digest_of, read_object

_LONG = 16  # digits of a digest, which reports show


class Parameters(NamedTuple):
    """Parameters of a model.

    Attributes:
        step: training step; None where it is not known.
        digest: see :func:`digest_of_stages`; empty where it is not known.
    """

    step: int | None = None
    digest: str = ""

    @classmethod
    def of(cls, flow: Any) -> "Parameters":
        """Those that an opened workdir classifies with; what stands for one may know no digest."""
        return cls(flow.step, getattr(flow, "digest", ""))

    def difference(self, now: "Parameters", these: str = "the parameters") -> str:
        """What tells other parameters from these, in words; empty where they are, or may be, the same.

        Args:
            now: those that are used.
            these: what the words call them.
        """
        if None not in (self.step, now.step) and self.step != now.step:
            return f"of step {self.step}, {these} of step {now.step}"
        if self.digest and now.digest and self.digest != now.digest:
            return f"of an earlier training to step {now.step}, {these} of another one"
        return ""


def saved_digest(checkpoint: Path) -> str:
    """A digest of the parameters to use that a checkpoint's folder holds, by those of its arrays.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    try:
        return digest_of(read_object(checkpoint / "digests" / "metadata")["ema"])
    except (FileNotFoundError, KeyError) as error:
        raise ValueError(unreadable(checkpoint, "its digests are missing")) from error


def digest_of_stages(found: Mapping[str, str]) -> str:
    """One digest of the stages' :func:`saved_digest`, by the stages' names."""
    return digest_of(dict(found))[:_LONG]
