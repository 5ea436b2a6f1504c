"""Volumes: axes, grids, slices."""
