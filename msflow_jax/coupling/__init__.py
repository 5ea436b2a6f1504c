"""MAGIC-Flow: multiscale class-conditional coupling flows with exact likelihoods."""
