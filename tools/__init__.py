"""Tools of the repository, for those who make a release; no part of the package."""
