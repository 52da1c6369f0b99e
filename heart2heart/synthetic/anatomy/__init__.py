"""Anatomy of each view as a plane of tissue labels with motions, leaflets and jets."""
