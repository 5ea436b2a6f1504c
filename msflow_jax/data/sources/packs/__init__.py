"""Packs of images: ArrayRecord shards as ``msflow pack`` writes them, and their facts."""
