"""The command of ``msflow_jax/commands/report.py``: ``msflow report``."""

from msflow_jax.commands.report import main, run

if __name__ == "__main__":
    run(main)
