"""What the standing evaluation says of a translation: of its route, and of what is given as source."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.evaluation.looks import Looks
from msflow_jax.inference.translated import Sources
from msflow_jax.reports.routes import scores_of
from msflow_jax.storage import evaluations
from msflow_jax.storage.parameters import Parameters


@dataclass(frozen=True)
class StandingRoutes:
    """The block ``translation`` of a workdir's standing evaluation, as far as there is one.

    Attributes:
        name: of the evaluation; empty where there is none.
        step: training step that it is of; None where that is not known.
        block: what it measured; empty where it measured no translation.
        problem: why there is nothing to read; empty where there is.
        digest: of the parameters that it is of; empty where that is not known.
    """

    name: str = ""
    step: int | None = None
    block: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    digest: str = ""

    def warn(
        self, given: Sources, source: str, target: str, step: int, digest: str = ""
    ) -> dict[str, Any]:
        """Warns of what :meth:`of_source` and :meth:`of_route` say.

        Returns:
            What a record says of it: the lines as ``warnings``, and ``evaluated``, the evaluation, its
            step and PSNR in dB of the route; None where it did not measure it.
        """
        lines = [*self.of_source(given, source), *self.of_route(source, target, step, digest)]
        evaluated = None
        for line in lines:
            warnings.warn(line, stacklevel=3)
        for one in scores_of(self.block):
            if (one.source, one.target) == (source, target):
                evaluated = {
                    "evaluation": self.name, "step": self.step, "psnr": one.psnr,
                    "without_model": dict(one.simple),
                }  # fmt: skip
        return {"evaluated": evaluated, "warnings": lines}

    @property
    def _looks(self) -> dict[str, Any] | None:
        """What the evaluation keeps of the modalities; None where it keeps nothing."""
        found = self.block.get("looks")
        return found if isinstance(found, dict) else None

    def of_route(self, source: str, target: str, step: int, digest: str = "") -> list[str]:
        """The warning of the evaluation about a route; none where it has none.

        Args:
            source: what is given.
            target: what is drawn.
            step, digest: of the parameters that draw, see :class:`Parameters`.
        """
        for one in scores_of(self.block):
            if (one.source, one.target) == (source, target) and one.alarm:
                measured, now = Parameters(self.step, self.digest), Parameters(step, digest)
                other = measured.difference(now, "these are")
                of = f" ({other})" if other else ""
                return [f"evaluation {self.name!r}{of}: {one.alarm.rstrip('.')}"]
        return []

    def of_source(self, given: Sources, source: str) -> list[str]:
        """Lines where images do not look like the modality that they are said to be of.

        Args:
            given: pictures or volumes.
            source: what they are said to be.

        Returns:
            A line each: some look more like another modality of the training data; pictures where the
            model saw slices. One where an evaluation of before cannot tell.
        """
        names = [name for name, _, _ in given.parts]
        lines = []
        if given.volumes is None and source in (self._looks or {}).get("slices", ()):
            lines.append(
                f"{_first(names)} no volume, and {source} was learned of slices of volumes: what is "
                "drawn of another plane or kind of picture means nothing"
            )
        of = range(len(given.images)) if given.volumes is None else given.volumes.tolist()
        return [*lines, *self.unlike(given.images, names, of, source)]

    def unlike(
        self, images: np.ndarray, names: Sequence[str], of: Sequence[Any], source: str
    ) -> list[str]:
        """A line for each modality that some of what is given looks more like than its own.

        Args:
            images: uint8 ``[N, *shape]``.
            names: of the things that they are of, in their order.
            of: which thing each is of, ``[N]``.
            source: what they are said to be.
        """
        fields = self._looks
        if self.problem or fields is None:
            why = self.problem or (
                f"the evaluation {self.name!r} keeps nothing of how each modality looks; evaluate again"
                if self.name
                else "there is no standing evaluation; run msflow evaluate"
            )
            return [f"--source={source} is not checked: {why}"]
        if not fields:  # the data have no other modality, or no validation images
            return []
        try:
            looks = Looks.from_dict(fields)
        except ValueError as error:
            return [f"--source={source} is not checked: {error}; evaluate again"]
        if source not in looks.slack:
            return []
        others, lines = looks.others(images, source, of), []
        for other in dict.fromkeys(filter(None, others)):
            odd = [name for name, found in zip(names, others, strict=True) if found == other]
            whom = odd[0] if len(names) == 1 else f"{len(odd)} of {len(names)} ({odd[0]} for one)"
            verb = "looks" if len(odd) == 1 else "look"
            lines.append(
                f"{whom} {verb} more like {other} than {source} by grey levels; --source says {source}"
            )
        return lines

    def unlike_read(self, read: Any, source: str) -> list[str]:
        """As :meth:`unlike`, of what ``data.read_sound_images`` gives: slices count by their volume."""
        of = [volume or name for volume, name in zip(read.series, read.names, strict=True)]
        return self.unlike(read.images, list(dict.fromkeys(of)), of, source)

    def warn_unlike(self, read: Any, source: str) -> None:
        """Warns as :meth:`unlike_read` says."""
        for line in self.unlike_read(read, source):
            warnings.warn(line, stacklevel=3)


def _first(names: Sequence[str]) -> str:
    return f"{names[0]} is" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more are"


def read_standing(workdir: Path) -> StandingRoutes:
    """What the standing evaluation of a workdir says; a damaged one is a ``problem``, not an error."""
    try:
        name = evaluations.standing(workdir)
        found = evaluations.read(workdir, name) if name else {}
    except (OSError, ValueError) as error:
        return StandingRoutes(problem=str(error))
    block = found.get("translation")
    known = block if isinstance(block, dict) else {}
    of = evaluations.parameters_of(found)
    return StandingRoutes(name, of.step, known, digest=of.digest)
