"""Examples of several registered modalities: sets, translations measured, and their controls."""
