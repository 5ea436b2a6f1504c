"""The commands: ``msflow NAME``, or ``python -m experiments.NAME``."""
