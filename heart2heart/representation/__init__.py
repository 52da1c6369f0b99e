"""Representations: encoders that are pretrained without labels, vectors of frames, clips and studies, and their use."""
