"""Prediction of many files: sources, reading in several processes, batches over clips, and the file of answers."""
