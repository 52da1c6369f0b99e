"""The independent check: does anything that left the door still say who the patient was?

Written apart from the de-identifier on purpose, with none of its code, so that a fault there is not repeated here.
"""

from heart2heart.verify.check import Finding, IdentityFoundError, Verdict, verify
from heart2heart.verify.identities import KINDS, Identities, collect, load_planted

__all__ = ["KINDS", "Finding", "Identities", "IdentityFoundError", "Verdict", "collect", "load_planted", "verify"]
