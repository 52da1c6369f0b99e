"""Frames: sector geometry, frame quality, and the store that every later room reads."""
