"""The command of ``msflow_jax/commands/push.py``: ``msflow push``."""

from msflow_jax.commands.push import main, run

if __name__ == "__main__":
    run(main)
