"""Independent verification: does any output still contain an identity? It shares no code with what it checks."""

from heart2heart.verify.check import IdentityFinding, IdentityFoundError, VerificationResult, verify
from heart2heart.verify.identities import IDENTITY_KINDS, Identities, collect_identities, load_planted

__all__ = [
    "IDENTITY_KINDS",
    "Identities",
    "IdentityFinding",
    "IdentityFoundError",
    "VerificationResult",
    "collect_identities",
    "load_planted",
    "verify",
]
