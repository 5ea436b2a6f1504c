"""A model's verbs over many images: predictions, samples, and the sections of an evaluation."""
