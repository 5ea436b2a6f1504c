"""Questions that cannot be made are a remark of an evaluation where none of them was taught."""

from types import SimpleNamespace

import pytest

from msflow_jax.synergy import understanding_section
from msflow_jax.synergy.understanding_section import Answers
from tests.synergy import tiny


@pytest.mark.parametrize("taught", [(), ("selection", "instruction")])
def test_too_few_routes_to_describe(monkeypatch, taught):
    """Two modalities, of which one route is withheld."""
    monkeypatch.setattr(understanding_section, "_probe", lambda run, chosen: {})
    settings, splits = tiny.config(modalities=("t1w", "ct")), tiny.splits()
    settings.model.tasks.withhold = ("ct-t1w",)
    model = SimpleNamespace(taught=taught)
    flow = SimpleNamespace(config=settings, step=1, model=model, parts=tiny.parts())
    run = SimpleNamespace(flow=flow, chosen=splits.val, split="val", splits={"val": splits.val})
    if taught:  # it was trained on what cannot be asked: not this data
        with pytest.raises(ValueError, match="1 routes can be described"):
            Answers(8)(run)
        return
    block, _ = Answers(8)(run)
    assert "1 routes can be described" in block["left_out"] and block["tasks"] == {}
