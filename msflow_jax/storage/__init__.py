"""Files and weights on disk: atomic writes, digests, locks, checkpoints; knows no trainer, no data."""
