"""Reads the link codes of stores: which pseudonyms of which hospitals belong to one person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from heart2heart.schema.links import PatientLinks
from heart2heart.store.frame_store import Frames, FrameStore, FrameStores

Patient = tuple[str, str]
"""Hospital and pseudonym."""


@dataclass(frozen=True)
class LinkCodes:
    """The link codes of one store or of several.

    Attributes:
        codes: Codes by patient.
        keys: Fingerprints of the linking keys; codes can be compared where there is one.
    """

    codes: dict[Patient, frozenset[str]] = field(default_factory=dict)
    keys: frozenset[str] = frozenset()

    @classmethod
    def of(cls, *stores: Frames | None) -> LinkCodes:
        """Read the codes beside stores; a store without codes has none."""
        codes: dict[Patient, frozenset[str]] = {}
        keys: set[str] = set()
        for root in sorted({store.root.resolve() for each in stores for store in _parts(each)}):
            links = PatientLinks.read(root)
            if links is None:
                continue
            keys.add(links.key_check)
            for entry in links.patients:
                patient = (entry.site, entry.patient)
                codes[patient] = codes.get(patient, frozenset()) | frozenset(entry.codes)
        return cls(codes, frozenset(keys))

    def not_comparable(self, patients: Iterable[Patient]) -> str:
        """Return why these patients cannot be compared across hospitals, in words; empty where they can."""
        known = set(patients)
        if not self.keys or not known & self.codes.keys():
            return "patients across hospitals not compared: the stores have no link codes"
        if len(self.keys) > 1:
            return "patients across hospitals not compared: the link codes are of different linking keys"
        missing = len(known - self.codes.keys())
        return f"patients across hospitals not compared: {missing} of {len(known)} have no link code" if missing else ""

    def shared(self, left: Iterable[Patient], right: Iterable[Patient]) -> list[tuple[Patient, Patient]]:
        """Return pairs of different pseudonyms, one of each side, of one person, sorted."""
        if len(self.keys) != 1:
            return []
        owners: dict[str, set[Patient]] = {}
        for patient in right:
            for code in self.codes.get(patient, ()):
                owners.setdefault(code, set()).add(patient)
        pairs = {
            (patient, other)
            for patient in left
            for code in self.codes.get(patient, ())
            for other in owners.get(code, ())
            if other != patient
        }
        return sorted(pairs)


def _parts(stores: Frames | None) -> list[FrameStore]:
    if isinstance(stores, FrameStores):
        return stores.stores
    return [stores] if isinstance(stores, FrameStore) else []
