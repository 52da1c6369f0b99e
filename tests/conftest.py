"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says nothing on a machine with other work; pytest's own timeout ends what hangs.
settings.register_profile("heart2heart", deadline=None)
settings.load_profile("heart2heart")
