"""MedM2G: aligned encoders and cross-guided diffusers over text, X-ray, CT and MR (arXiv 2403.04290)."""
