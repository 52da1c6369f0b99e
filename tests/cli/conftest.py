"""The executable as a function, for the tests of the verbs."""

from tests.command_line import execute

__all__ = ["execute"]
