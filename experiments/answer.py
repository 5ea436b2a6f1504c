"""The command of ``msflow_jax/commands/answer.py``: ``msflow answer``."""

from msflow_jax.commands.answer import main, run

if __name__ == "__main__":
    run(main)
