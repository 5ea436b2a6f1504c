"""Devices and processes: shardings, functions over many items, start-up."""
