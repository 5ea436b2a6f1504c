"""Distil a trained model into one that draws in few steps, and classifies as before. Resumes by itself.

python -m experiments.distill --workdir=runs/quickstart --output=runs/quickstart-few
python -m experiments.generate --workdir=runs/quickstart-few --steps=1

The output is a workdir like any other: it draws, or translates, in 4 jumps unless --steps says
otherwise, with the teacher's configured guidance in them, and its report shows 1, 2 and 4 jumps beside
the teacher's steps. More: the page Drawing in few steps of the documentation.
"""

from collections.abc import Sequence
from pathlib import Path

from msflow_jax.commands.common import parser, path, run
from msflow_jax.storage.places import expand, resolved

STEPS = 4  # that are drawn in unless asked otherwise


def configure(teacher: Path, output: Path, overrides: Sequence[str]):
    """The configuration of a run that distils the one of a workdir.

    Args:
        teacher: the other's workdir.
        output: the run's own.
        overrides: ``--config.a.b=v``, over the teacher's settings.

    Raises:
        FileNotFoundError: no workdir there.
        ValueError: its family cannot be distilled, or an override does not exist.
    """
    from ml_collections import ConfigDict

    from msflow_jax.config import override
    from msflow_jax.streams import JUMP
    from msflow_jax.training.distillation import weights_of_guidance
    from msflow_jax.workdir import has_checkpoint, read

    if has_checkpoint(output):  # goes on, whether or not the teacher is still there
        config = read(output)[0]
        named = config.model.get("distillation", {}).get("teacher")
        if not named or (named != str(teacher) and resolved(expand(named)) != resolved(teacher)):
            raise ValueError(
                f"{output} holds a run of the teacher {named or 'none'}, not {teacher}: use another "
                "--output, or name that one"
            )
        return override(config, overrides)
    config, _ = read(teacher)
    if "distillation" not in config.model:
        raise ValueError(
            f"{teacher} is of the family {config.model.family!r}, which has no velocity field to distil"
        )
    drawn = config.sample["translate" if "translate" in config.sample else "generate"]
    learned = weights_of_guidance(drawn)
    with config.unlocked():
        config.model.distillation.update(teacher=str(teacher), **learned)
        drawn.update(dict(solver=JUMP, steps=STEPS))
        for verb in config.sample.values():  # what was learned is not weighed again
            if isinstance(verb, ConfigDict):
                verb.update(dict.fromkeys(weights_of_guidance(verb), 1.0))
        config.train.init = ""
    return override(config, overrides)


def main(arguments: Sequence[str]) -> None:
    """The command."""
    flags = parser(__doc__ or "")
    flags.add_argument("--workdir", type=path, required=True, help="the trained model")
    flags.add_argument("--output", type=path, required=True, help="workdir of the distilled model")
    flags.add_argument("--no-evaluate", action="store_true", help="stop after training")
    options, rest = flags.parse_known_args(arguments)
    flags.check_settings(rest)
    if resolved(options.output) == resolved(options.workdir):
        flags.error("--output is the model's own workdir: name another folder")

    from msflow_jax.progress import doing

    with doing("starting"):
        from msflow_jax.commands.train import after_training, train
        from msflow_jax.parallel.startup import start_jax

        config = configure(options.workdir, options.output, rest)
        start_jax(config.train.batch)
    train(config, options.output)
    after_training(config, options.output, not options.no_evaluate)


if __name__ == "__main__":
    run(main)
