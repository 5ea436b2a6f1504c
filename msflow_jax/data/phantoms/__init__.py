"""Head phantoms: synthetic subjects with lesions of known place and size. Not patients."""
