"""Autoencoders, the codec between pixels and latents, the cache of latents, fine-tuning."""
