"""Trains view classifiers: algorithms, Fix-A-Step around them, and the training loop."""
