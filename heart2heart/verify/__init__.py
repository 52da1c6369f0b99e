"""Independent verification: does any output still contain an identity? It shares no code with what it checks."""

from heart2heart.verify.check import IdentityFinding, IdentityFoundError, VerificationResult, verify
from heart2heart.verify.identities import KINDS, Identities, collect, load_planted

__all__ = [
    "KINDS",
    "Identities",
    "IdentityFinding",
    "IdentityFoundError",
    "VerificationResult",
    "collect",
    "load_planted",
    "verify",
]
