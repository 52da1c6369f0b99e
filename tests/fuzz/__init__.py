"""Fuzzing of everything that reads a file which another party wrote: targets, seeds, and what was found."""
