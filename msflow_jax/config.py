"""The configuration of a run: a family's defaults, files and overrides. Unknown keys are errors."""

import difflib
import warnings
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from msflow_jax import data
from msflow_jax.choices import check_prior, check_sharding, follow
from msflow_jax.families import FAMILIES, get_family, takes_crops
from msflow_jax.settings import Table, check, idle, leaves, limit, with_tuples
from msflow_jax.storage.places import find_config
from msflow_jax.train_settings import TABLE, check_train, train_config

_PARTS = ("data", "model", "train", "sample")


def default_config(family: str = "") -> ConfigDict:
    """Every setting of a family with its default, as published where there is something published.

    Args:
        family: name of the family; empty: the first of :data:`msflow_jax.families.FAMILIES`.

    Returns:
        A locked ``ConfigDict`` with the parts ``data`` (what is read), ``model`` (what is built),
        ``train`` (how it is trained) and ``sample`` (how it is used).

    Raises:
        ValueError: an unknown family.
    """
    own = get_family(family or next(iter(FAMILIES))).settings()
    config = ConfigDict()
    config.data = data.default_config()
    config.model = own.model
    config.train = train_config()
    config.sample = ConfigDict(dict(seed=0, batch=128, overlap=0.5, **own.sample))
    return config.lock()


def change_family(config: ConfigDict, family: str) -> ConfigDict:
    """The configuration with the model and sample settings of another family, at their defaults."""
    fresh = default_config(family)
    with config.unlocked():
        of_all = ("seed", "batch", "overlap")  # families
        fresh.sample.update({key: config.sample[key] for key in of_all})
        config.model, config.sample = fresh.model, fresh.sample
    return config


def check_variant(variant: str, known: str = "cpu") -> bool:
    """Whether a variant of a configuration is the one that it has; a ValueError for any but "" else."""
    if variant not in ("", known):
        raise ValueError(
            f"unknown variant {variant!r} of this configuration: choose {known!r}, or none"
        )
    return variant == known


def settings_table(family: str) -> Table:
    """Every key of a family's configurations, its values and its meaning.

    Args:
        family: name of the family.
    """
    own = get_family(family)
    return limit({**data.SETTINGS, **TABLE, **own.table}, getattr(own, "limits", {}))


def check_config(config: ConfigDict) -> None:
    """Raises a ValueError for a setting that does not exist or is out of range; reads no data."""
    data.check(config.data)
    check(settings_table(config.model.family), config)
    check_train(config.train)
    if config.data.name == "masks" and config.model.get("task") != "segment":
        raise ValueError(
            "data.name=masks has a class for each pixel: set model.task=segment (symmetric flows)"
        )
    if config.train.crop and not takes_crops(config.model.family):
        raise ValueError(
            f"train.crop={config.train.crop}: the family {config.model.family!r} sees whole images "
            "alone: set it to 0"
        )
    get_family(config.model.family).check(config)


def load_config(arguments: Sequence[str]) -> ConfigDict:
    """The configuration of ``--config=FILE[:ARGUMENT]``, or ``NAME[:ARGUMENT]``, with its overrides.

    A family or network that an override chooses brings its own settings, wherever it stands in the line,
    and a set of MedMNIST its ``data.dims``.

    Raises:
        FileNotFoundError: no such file, and no packaged configuration of that name.
        ValueError: the record of a run, an unknown key (the nearest known ones are named), a value of
            another type, or a family, network or code that does not exist.
    """
    from msflow_jax.nets.networks import check_heads  # here: flax takes a second to import

    named = [a for a in arguments if a.startswith("--config=")]
    if named[-1].endswith(".json"):
        raise ValueError(
            f"{_file(named)} is not a configuration, which is a Python file: the config.json of a run "
            "is its record, and beside it manifest.json has the command that made it"
        )
    overrides = [a for a in arguments if a.startswith("--config.")]
    config = _parse([f"--config={find_config(named[-1].split('=', 1)[1])}"], overrides=())
    config = override(config, overrides)
    check_heads(config.model.get("net", {}))
    return config


def override(config: ConfigDict, overrides: Sequence[str]) -> ConfigDict:
    """A whole configuration with ``--config.a.b=v`` applied, as :func:`load_config` does it.

    Raises:
        ValueError: as of :func:`load_config`.
    """
    pairs = [a.removeprefix("--config.").partition("=")[::2] for a in overrides]
    with config.unlocked():
        for key, value in pairs:
            if key == "model.family" and value != config.model.family:
                config = change_family(config, value)
        family = get_family(config.model.family)
        for key, value in pairs:
            family.choose(config, key, value)
    config = _parse((), with_tuples(overrides, config), config)
    given = {key for key, _ in pairs}
    follow(config, given)
    check_config(config)
    check_prior(config)
    check_sharding(config)
    family = config.model.family
    for line in idle(settings_table(family), config, given, default_config(family)):
        warnings.warn(line, stacklevel=2)
    return config


def _parse(
    named: Sequence[str], overrides: Sequence[str], config: ConfigDict | None = None
) -> ConfigDict:
    """A configuration of a file, or this one, with overrides parsed by the type of their default."""
    from absl import flags
    from ml_collections import config_flags

    values, line = flags.FlagValues(), ["train", *named, *overrides]
    options: dict[str, Any] = dict(flag_values=values, lock_config=True, sys_argv=line)
    try:
        if config is None:
            config_flags.DEFINE_config_file("config", **options)
        else:
            config_flags.DEFINE_config_dict("config", config, **options)
        values(line)
    except (AttributeError, KeyError) as error:
        words = _unknown_key(config, overrides, error)
        raise ValueError(f"{_file(named)}: {words}" if named else words) from error
    except (flags.Error, TypeError) as error:
        raise ValueError(_short(f"{error}".strip('"'), named)) from error
    except Exception as error:  # whatever a file raises that is no configuration, or has a fault
        if not named or isinstance(error, ValueError | OSError):
            raise
        words = f"{type(error).__name__}: {error}"
        raise ValueError(f"{_file(named)} cannot be used: {words}") from error
    found = values.config
    if not isinstance(found, ConfigDict) or not {*_PARTS} <= {*found}:
        raise ValueError(
            f"{_file(named)} cannot be used: its get_config() gives no configuration with "
            f"{', '.join(_PARTS)}: begin with msflow_jax.config.default_config()"
        )
    return found


def _file(named: Sequence[str]) -> str:
    return named[-1].split("=", 1)[1] if named else "the configuration"


def _short(message: str, named: Sequence[str]) -> str:
    """An error inside the configuration file comes as a whole traceback: its last line says it."""
    if "Traceback" not in message:
        return message
    return f"{_file(named)} cannot be used: {message.strip().splitlines()[-1]}"


def _unknown_key(config: ConfigDict | None, overrides: Sequence[str], error: Exception) -> str:
    known = [key for key, _ in leaves((config or default_config()).to_dict())]
    for argument in overrides:
        key = argument.split("=")[0].removeprefix("--config.")
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3, cutoff=0.4) or known
            return f"unknown configuration key {key!r}{_owner(key)}; near it: {', '.join(near)}"
    return f"unknown configuration key: {error}"


def _owner(key: str) -> str:
    """Whose setting a key is that this configuration does not have, in words."""
    for family in FAMILIES:
        if key in (known for known, _ in leaves(default_config(family).to_dict())):
            return f" (a setting of the family {family!r})"
    return ""
