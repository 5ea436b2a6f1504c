"""The command of ``msflow_jax/commands/convert_features.py``: ``msflow convert-features``."""

from msflow_jax.commands.convert_features import main, run

if __name__ == "__main__":
    run(main)
