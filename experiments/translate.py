"""The command of ``msflow_jax/commands/translate.py``: ``msflow translate``."""

from msflow_jax.commands.translate import main, run

if __name__ == "__main__":
    run(main)
