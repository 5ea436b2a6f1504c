"""A function over any number of items: batched, padded, sharded over all devices, with a bar."""

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from typing import Any

import jax
import numpy as np

from msflow_jax.parallel.agreement import check_agreement
from msflow_jax.parallel.sharding import make_mesh, place, replicated, split_batch
from msflow_jax.parallel.startup import is_first
from msflow_jax.progress import bar, noted
from msflow_jax.storage.interruption import Interruption

Runner = Callable[..., Any]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C came while a function went over many items; what was done is kept.

    Attributes:
        partial: what a whole call returns, of the first ``count`` items.
        count: number of items that were done, at least 1.
    """

    def __init__(self, partial: Any, count: int) -> None:
        super().__init__(f"stopped by Ctrl-C after {count} items")
        self.partial, self.count = partial, count

    def kept(self, total: int, place: object) -> KeyboardInterrupt:
        """What to end with once the part of ``total`` items that was done is kept at a place."""
        return KeyboardInterrupt(
            f"stopped by Ctrl-C: {self.count} of {total} images are in {place}"
        )


def finished(run: Callable[[], Any], finish: Callable[[Any], Any]) -> Any:
    """``finish`` of what ``run`` returned.

    Raises:
        Interrupted: Ctrl-C came; ``finish`` was applied to the part that was done.
    """
    try:
        out = run()
    except Interrupted as stop:
        raise Interrupted(finish(stop.partial), stop.count) from None
    return finish(out)


def batched(function: Callable[[Any, Any, jax.Array], Any], batch: int, axis: int = 0) -> Runner:
    """``runner(params, items, description="")``: ``function`` over any number of items.

    Args:
        function: ``(params, items [B, ...], index [B]) -> arrays`` with the batch on ``axis``;
            compiled once for each batch size. Items are an array or a tree of arrays of one length.
        batch: how many at a time. The last batch is padded and the padding cut off; since every
            sample's noise depends on its global index alone, results do not depend on ``batch``.
        axis: batch axis of the results.

    The runner raises Interrupted where Ctrl-C comes after the first batch, and ValueError for no items,
    arrays of different lengths, or several processes that do not have the same.
    """
    mesh = make_mesh()
    devices = mesh.shape["data"]
    # Whole results on every device: each process can read them.
    jitted = jax.jit(function, out_shardings=replicated(mesh))

    def runner(params: Any, items: Any, description: str = "") -> Any:
        lengths = [len(leaf) for leaf in jax.tree.leaves(items)]
        if not any(lengths):
            raise ValueError("there is nothing to do: no images")
        count = lengths[0]
        if (
            len(set(lengths)) > 1
        ):  # the shortest would be all that is done, or an index out of range
            raise ValueError(
                f"what belongs together has different lengths, {lengths}: one entry each is needed"
            )
        size = -(-min(batch, count) // devices) * devices
        # Of several processes each has them whole, and asks no other whether they agree.
        several = jax.process_count() > 1
        check_agreement(images_or_labels=items)
        params = (place if several else jax.device_put)(params, replicated(mesh))

        def part(start: int) -> tuple[Any, np.ndarray]:
            index = np.arange(start, start + size)
            return jax.tree.map(lambda a: a[np.minimum(index, count - 1)], items), index

        # Here a wrong argument is an error before the bar is drawn. Of what is called below the trace is
        # this one, if the arguments are placed alike.
        first: Any = place(part(0), split_batch(mesh))
        with noted("compiling"):
            structure = jax.tree.structure(jitted.eval_shape(params, *first))
        results: list[list[np.ndarray]] = []

        def joined() -> Any:
            parts = [np.concatenate(parts, axis) for parts in zip(*results, strict=True)]
            return jax.tree.unflatten(structure, parts)

        shown = description and is_first()
        with (
            bar(description, count) if shown else nullcontext(lambda n: None) as advance,
            ExitStack() as stack,
        ):
            stop = None
            for start in range(0, count, size):
                given = first if start == 0 else place(part(start), split_batch(mesh))
                first = None  # on no device any longer than it is needed
                # The first call returns once the program is made; what it computes comes later.
                with noted("compiling") if start == 0 else nullcontext():
                    out = jitted(params, *given)
                keep = np.arange(min(size, count - start))
                results.append([np.asarray(a).take(keep, axis) for a in jax.tree.leaves(out)])
                advance(len(keep))
                done = start + len(keep)
                if stop and stop.came:
                    raise Interrupted(joined(), done)
                # From here on there is something to keep; until then Ctrl-C ends at once. So it does
                # where others would wait for this process.
                if stop is None and jax.process_count() == 1:
                    stop = stack.enter_context(Interruption())
        return joined()

    return runner
