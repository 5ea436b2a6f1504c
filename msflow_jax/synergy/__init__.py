"""SynerMedGen: understanding tasks, built out of paired data, that teach a model to draw."""
