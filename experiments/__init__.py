"""Entry points: thin; parse, call the library, print."""
