"""Every number of a configuration has a range, and what lies outside is refused by name."""

import numpy as np
import pytest

from msflow_jax.config import check_config, default_config, settings_table
from msflow_jax.coupling.conditioners import CONDITIONERS
from msflow_jax.coupling.family import conditioner_settings
from msflow_jax.families import FAMILIES
from msflow_jax.nets.networks import network_settings
from msflow_jax.settings import bounds, leaves


def of_every_kind():
    """Defaults of every family with each of its networks."""
    for network in ("unet", "dit"):
        config = default_config()
        with config.unlocked():
            config.model.net = network_settings(network)
        yield config
    for name in CONDITIONERS:
        config = default_config("coupling")
        with config.unlocked():
            config.model.conditioner = conditioner_settings(name)
        yield config
    yield default_config("diffusers")
    yield default_config("synergy")


def test_every_setting_is_in_the_table_and_every_number_has_a_range():
    seen = set()
    for config in of_every_kind():
        check_config(config)
        table = settings_table(config.model.family)
        for key, value in leaves(config):
            seen.add((config.model.family, key))
            assert table[key].meaning and table[key].takes(value), key
            values = np.atleast_1d(value).tolist()
            if values and not any(isinstance(v, str | bool) for v in values):
                assert table[key].values, f"{key} has no range"
    for family in FAMILIES:  # and the table holds nothing else
        assert {(family, key) for key in settings_table(family)} <= seen


def outside(setting, default):
    """Values just outside of a range, of the type of the default."""
    parts = setting.values.split(" or ")
    ends = [(part, *(bounds(part) if part[0] in "[(" else [float(part)] * 2)) for part in parts]
    if isinstance(default, int):
        near = [v for _, low, high in ends for v in (low - 1, high + 1) if np.isfinite(v)]
        return [int(v) for v in near if not setting.takes(int(v))]
    found = [np.nan, np.inf, -np.inf]
    for part, low, high in ends:
        found += [np.nextafter(low, -np.inf) if part[0] == "[" else low]
        found += [np.nextafter(high, np.inf) if part[-1] == "]" else high]
    return [float(v) for v in found]


def test_a_number_just_outside_its_range_is_refused_by_name():
    tried = 0
    for config in of_every_kind():
        table = settings_table(config.model.family)
        for key, default in leaves(config):
            first = next(iter(default), "") if isinstance(default, tuple) else default
            if isinstance(first, str | bool):
                continue
            last = key.rpartition(".")[2]
            for value in outside(table[key], first):
                given = (value,) if isinstance(default, tuple) else value
                with config.unlocked():
                    config.update_from_flattened_dict({key: given})
                with pytest.raises(ValueError, match=rf"{last}\b.*(must|choose|is)"):
                    check_config(config)
                tried += 1
            config.update_from_flattened_dict({key: default})
        check_config(config)
    assert tried > 100
