"""A teacher that is guided is distilled, validated and measured with its guidance."""

import json

import numpy as np
import pytest

from msflow_jax.symmetric.family import FAMILY
from tests.commands.conftest import evaluation, only, quickly


@pytest.fixture(scope="module")
def guided(pictures, config_file, tmp_path_factory):
    """A workdir distilled from a teacher with code dropout and guidance."""
    from msflow_jax.commands.distill import main
    from msflow_jax.commands.train import main as train

    folder = tmp_path_factory.mktemp("guided")
    with quickly(), only(FAMILY, "few_steps"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("msflow_jax.inference.few_steps.JUMPS", (1,))
        patch.setattr("msflow_jax.inference.few_steps.REFERENCE", 2)
        train([
            f"--config={config_file}", f"--workdir={folder / 'teacher'}", "--no-evaluate",
            f"--config.data.root={pictures}", "--config.model.code_dropout=0.2",
            "--config.sample.generate.guidance=2.0",
        ])  # fmt: skip
        main([f"--workdir={folder / 'teacher'}", f"--output={folder / 'student'}"])
    return folder / "student"


def test_the_checkpoint_is_chosen_by_jumps_along_the_guided_path(guided):
    lines = [json.loads(line) for line in (guided / "metrics.jsonl").read_text().splitlines()]
    errors = [line["val_jump_error"] for line in lines if "val_jump_error" in line]
    assert errors and np.isfinite(errors).all() and min(errors) > 0


def test_the_report_compares_with_the_guided_teacher(guided):
    found = evaluation(guided)["few_steps"]
    assert found["ways"] == ["1 jump", "teacher, 1 step", "teacher, 2 steps"]
