"""The command of ``msflow_jax/commands/explain.py``: ``msflow explain``."""

from msflow_jax.commands.explain import main, run

if __name__ == "__main__":
    run(main)
