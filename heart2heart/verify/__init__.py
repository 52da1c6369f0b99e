"""Independent verification: does any output still contain an identity? It shares no code with what it checks."""

from heart2heart.verify.archive import collect_identities
from heart2heart.verify.check import verify
from heart2heart.verify.identities import IDENTITY_KINDS, Identities, load_planted
from heart2heart.verify.verdict import (
    IdentityFinding,
    IdentityFoundError,
    IncompleteVerificationError,
    UnreadPart,
    Verdict,
    VerificationResult,
)

__all__ = [
    "IDENTITY_KINDS",
    "Identities",
    "IdentityFinding",
    "IdentityFoundError",
    "IncompleteVerificationError",
    "UnreadPart",
    "Verdict",
    "VerificationResult",
    "collect_identities",
    "load_planted",
    "verify",
]
