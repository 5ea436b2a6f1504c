"""Named tensors to a tree of parameters, each used exactly once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.convert.shards import listed
from msflow_jax.nets.init import Params

TOP = "."  # the key of tensors that lie below nothing
Path = tuple[str, ...]
State = Mapping[str, np.ndarray]
Stems = Sequence[tuple[str, ...]]

# Parts of names that torch's wrappers of single layers leave anywhere.
_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")


class Found(NamedTuple):
    """A network among the tensors of a file.

    Attributes:
        state: its tensors by their names within it.
        naming: which of the stems they follow.
        original: the file's name of each.
        prefix: what stands before them.
        unused: the file's names of all other tensors, in order.
    """

    state: dict[str, np.ndarray]
    naming: int
    original: dict[str, str]
    prefix: str
    unused: list[str]

    def name(self, inner: str) -> str:
        """What the file calls a tensor of the network, or would call a missing one."""
        return self.original.get(inner, self.prefix + inner)


def find(state: State, stems: Stems, what: str, key: str = "") -> Found:
    """Finds the one network of a kind, below whatever prefix.

    Prefixes are what torch and the people who train put before names, in any order and depth:
    ``module`` (several devices), ``_orig_mod`` (compiled; also within names), ``ema_model``, ...
    Two networks of equal tensors are one that was registered twice.

    Args:
        state: tensors by name (``read_state_dict``).
        stems: for each naming, tensors that every network of it has.
        what: what is sought, for errors.
        key: where it lies, such as ``ema``, if there are several; ``.`` is below nothing.

    Raises:
        ValueError: none, or several of unlike tensors; what was found is named.
    """
    names: dict[str, str] = {}
    for name in state:
        plain = ".".join(part for part in name.split(".") if part not in _WRAPPERS)
        if plain in names:
            raise ValueError(f"tensors {listed([names[plain], name])} are one by name: save one")
        names[plain] = name
    places = {
        name[: len(name) - len(stem[0])]: number
        for number, stem in enumerate(stems)
        for name in names
        if name == stem[0] or name.endswith(f".{stem[0]}")
        if all(name[: len(name) - len(stem[0])] + other in names for other in stem)
    }
    prefixes = [p for p in places if not key or _is_below(p, key)]
    # A network may lie below another one: the very place goes first.
    prefixes = [p for p in prefixes if p == f"{key.strip('.')}."] or prefixes
    if not prefixes:
        there = f" at --key {key} (there are some at {_keys(places)})" if key and places else ""
        choices = [" and ".join(stem) for stem in stems]
        words = f"neither {' nor '.join(choices)} is" if stems[1:] else f"{choices[0]} is not"
        such = f", such as {listed(sorted(state))}" if state else ""
        raise ValueError(f"not {what}{there}: {words} among {len(state)} tensors{such}")

    def inside(prefix: str) -> dict[str, str]:
        deeper = tuple(p for p in places if p != prefix and p.startswith(prefix))
        return {
            plain.removeprefix(prefix): name
            for plain, name in names.items()
            if plain.startswith(prefix) and not plain.startswith(deeper)
        }

    original = inside(prefixes[0])
    for prefix in prefixes[1:]:
        other = inside(prefix)
        same = original.keys() == other.keys()
        if not same or any(not np.array_equal(state[original[k]], state[other[k]]) for k in other):
            raise ValueError(
                f"{len(prefixes)} different networks, at {_keys(prefixes)}: choose one with --key"
            )
    used = set(original.values())
    return Found(
        {plain: state[name] for plain, name in original.items()},
        places[prefixes[0]],
        original,
        prefixes[0],
        [name for name in state if name not in used],
    )


def _is_below(prefix: str, key: str) -> bool:
    return not prefix if key == TOP else f".{prefix}".startswith(f".{key.strip('.')}.")


def _keys(prefixes: Any) -> str:
    return listed([prefix.rstrip(".") or TOP for prefix in prefixes])


def size(state: State, name: str, axis: int, what: str) -> int:
    """A side of a 4-D kernel, from which an architecture is read; ``what`` is for errors.

    Raises:
        ValueError: the tensor is missing, of another rank, or empty.
    """
    array = state.get(name)
    if array is None:
        raise ValueError(f"not {what}: {name} is missing")
    if array.ndim != 4 or not array.size:
        raise ValueError(f"not {what}: {name} is no 4-D kernel, but of shape {array.shape}")
    return int(array.shape[axis])


def parameter_shapes(net: Any, *inputs: tuple[int, ...]) -> dict[Path, tuple[int, ...]]:
    """Shapes of a network's parameters by path, for float32 inputs of these shapes."""
    shaped = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in inputs]
    tree = jax.eval_shape(net.init, jax.random.key(0), *shaped)["params"]
    return {path: leaf.shape for path, leaf in leaves(tree)}


def leaves(tree: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yields ``(path, leaf)`` of a nested dict."""
    for name, node in tree.items():
        if isinstance(node, Mapping):
            yield from leaves(node, (*path, name))
        else:
            yield (*path, name), node


def check_parameters(file: Any, params: Params, shapes: Mapping[Path, tuple[int, ...]]) -> None:
    """Raises a ValueError unless these are the parameters of the network that a file describes."""
    found = {path: np.shape(leaf) for path, leaf in leaves(params)}
    for path in sorted(found.keys() | shapes.keys()):
        if found.get(path) != shapes.get(path):
            raise ValueError(
                f"{file} is of another network than the weights beside it: {'/'.join(path)} is "
                f"{found.get(path, 'absent')} there, {shapes.get(path, 'absent')} is needed: convert "
                "the weights again"
            )


def match(
    state: Mapping[str, np.ndarray],
    names: Mapping[str, Path],
    shapes: Mapping[Path, tuple[int, ...]],
    what: str,
    original: Callable[[str], str] = str,
) -> Params:
    """Puts every tensor to its place, in the layout of flax.

    Args:
        state: tensors by name, in the layout of torch.
        names: place of each name.
        shapes: tree of the parameters' shapes.
        what: what the tensors should be, for errors.
        original: the file's name of each tensor, for errors.

    Returns:
        Nested dict of float32 arrays.

    Raises:
        ValueError: naming the first offending tensors, if some are missing, left over, of another
            shape, not of a floating type or not finite.
    """

    def refuse(fault: str, wrong: list[str], remedy: str = "fetch the file again") -> None:
        if wrong:
            raise ValueError(f"not a {what}: tensors {fault}: {listed(wrong)}; {remedy}")

    missing = [original(name) for name in names if name not in state]
    refuse("missing", missing, "save the whole network's state_dict()")
    other = "is it another network, or one of several (--key)?"
    refuse("left over", [original(name) for name in state if name not in names], other)
    kinds = {name: np.asarray(state[name]).dtype for name in names}
    refuse(
        "of integers (quantised?)",
        [original(name) for name, kind in kinds.items() if not jnp.issubdtype(kind, jnp.floating)],
        "save the weights as float32",
    )
    params: Params = {}
    misshapen, unfinite = [], []
    for name, path in names.items():
        array = _to_flax(np.asarray(state[name], np.float32))
        if shapes[path] == (1, 1, *array.shape):
            array = array[None, None]
        if array.shape != shapes[path]:
            misshapen.append(f"{original(name)} {state[name].shape}")
        if not np.isfinite(array).all():
            unfinite.append(original(name))
        _insert(params, path, array)
    refuse("of a shape that does not fit the others", misshapen, other)
    refuse("not finite", unfinite)
    return params


def _to_flax(array: np.ndarray) -> np.ndarray:
    """[O, I, k, k] -> [k, k, I, O]; linear maps and 1x1 convolutions -> [I, O]."""
    if set(array.shape[2:]) <= {1}:
        return array.reshape(array.shape[:2]).T
    return array.transpose(*range(2, array.ndim), 1, 0)


def _insert(tree: Params, path: Path, array: np.ndarray) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = jax.device_put(array)  # ``jnp.asarray`` compiles for every shape
