"""The manifest of a split: the role of every frame, written once, hashed and never recomputed.

A split is a folder with `split.json` (settings and hashes), `members.parquet` (one row per frame) and
`certificate.json` (results of the leakage checks). Training and evaluation refuse a split that was edited or is not
certified, and stores whose pixels changed after the split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from heart2heart.errors import ExistsError, LeakageError, MissingInputError, SplitError
from heart2heart.notebook import data_frame, html_card, html_table
from heart2heart.schema.enums import CheckStatus, SplitRole
from heart2heart.schema.split import REQUIRED_CHECKS, SPLIT_MEMBERS, SPLIT_SCHEMA_VERSION, Certificate, SplitInfo
from heart2heart.splits.clip_uses import recorded_flags_rule
from heart2heart.store.frame_store import Frames
from heart2heart.store.frame_tables import FrameDataset
from heart2heart.utils import atomic_path, read_json, sha256_json, write_json

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SelectedFrames:
    """The frames of some roles in a store.

    Attributes:
        rows: int64 `(n,)`, for `Frames.read`.
        targets: int64 `(n,)`, class index; -1 where the view is unknown or outside the classes.
        members: Rows of the manifest, aligned with `rows`.
    """

    rows: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    members: pa.Table

    def groups(self, column: str = "site") -> tuple[list[str], npt.NDArray[np.int64]]:
        """Return the sorted names of the hospitals (or patients, studies, clips), and the index of each row's name."""
        names = sorted(pc.unique(self.members[column]).to_pylist())
        indices = pc.index_in(self.members[column], pa.array(names, pa.string()))
        return names, indices.to_numpy(zero_copy_only=False).astype(np.int64)


@dataclass(frozen=True)
class SplitManifest:
    """A frozen split.

    Attributes:
        path: Folder of the split.
        name: Name for readers.
        classes: The scored views, in class order.
        seed: Seed of the proposal.
        source_sites: Hospitals whose patients may train and validate.
        held_out_sites: Hospitals that are only tested on.
        settings: Settings of the proposal.
        data_sha256: Hash over the clips' pixel hashes.
        members: Rows of `SPLIT_MEMBERS`, sorted by frame.
        sha256: Hash of all of the above.
    """

    path: Path
    name: str
    classes: tuple[str, ...]
    seed: int
    source_sites: tuple[str, ...]
    held_out_sites: tuple[str, ...]
    settings: dict[str, Any]
    data_sha256: str
    members: pa.Table
    sha256: str

    @classmethod
    def load(cls, path: str | Path) -> SplitManifest:
        """Read a split, and check that it was not edited.

        Raises:
            MissingInputError: no split here.
            SplitError: the split has another schema version or another hash than it states.
        """
        path = Path(path)
        content = read_json(path / "split.json", what="split manifest")
        if not isinstance(content, dict) or content.get("schema") != SPLIT_SCHEMA_VERSION:
            raise SplitError("this split has another schema", where=path, remedy="Propose it again with this version")
        try:
            members = pq.read_table(path / "members.parquet").replace_schema_metadata(None).cast(SPLIT_MEMBERS)
        except FileNotFoundError as error:
            raise MissingInputError("the split's members are missing", where=path) from error
        except (OSError, ValueError, pa.ArrowException) as error:
            raise SplitError("the split's members cannot be read", where=path) from error
        stated = content.pop("sha256", None)
        content["members"] = members_digest(members)
        if stated != sha256_json(content):
            remedy = "A frozen split is never edited: propose a new one"
            raise SplitError("this split was changed after it was frozen", where=path, remedy=remedy)
        return cls(
            path=path,
            name=content["name"],
            classes=tuple(content["classes"]),
            seed=content["seed"],
            source_sites=tuple(content["source_sites"]),
            held_out_sites=tuple(content["held_out_sites"]),
            settings=content["settings"],
            data_sha256=content["data"],
            members=members,
            sha256=stated,
        )

    @classmethod
    def freeze(
        cls,
        path: str | Path,
        *,
        name: str,
        classes: Sequence[str],
        seed: int,
        source_sites: Sequence[str],
        held_out_sites: Sequence[str],
        settings: dict[str, Any],
        members: pa.Table,
        stores: Frames,
    ) -> SplitManifest:
        """Write a split that does not exist yet and read it back.

        Raises:
            ExistsError: the folder holds a split already.
        """
        path = Path(path)
        if (path / "split.json").exists():
            raise ExistsError("a split is already frozen here", where=path, remedy="Name another folder")
        members = members.cast(SPLIT_MEMBERS).sort_by("frame")
        content: dict[str, Any] = {
            "schema": SPLIT_SCHEMA_VERSION,
            "name": name,
            "classes": list(classes),
            "seed": seed,
            "source_sites": list(source_sites),
            "held_out_sites": list(held_out_sites),
            "settings": settings,
            "data": data_digest(stores, members),
        }
        content["sha256"] = sha256_json(content | {"members": members_digest(members)})
        with atomic_path(path / "members.parquet") as temporary:
            pq.write_table(members, temporary, compression="zstd")
        write_json(path / "split.json", content)
        return cls.load(path)

    def certificate(self) -> Certificate:
        """Return the leakage certificate of this split.

        Raises:
            LeakageError: there is no certificate, or it is of another split.
        """
        remedy = "Run `heart2heart certify` on it"
        if not (self.path / "certificate.json").exists():
            raise LeakageError("this split has no leakage certificate", where=self.path, remedy=remedy)
        certificate = Certificate.read(self.path / "certificate.json")
        if certificate.split_sha256 != self.sha256:
            raise LeakageError("the certificate is of another split", where=self.path, remedy=remedy)
        return certificate

    def require_certified(self) -> Certificate:
        """Return the certificate, or refuse a split that failed a check.

        Raises:
            LeakageError: the certificate is missing or of another split, or a check is missing or failed.
        """
        certificate = self.certificate()
        present = {check.name for check in certificate.checks}
        if lacking := [name for name in REQUIRED_CHECKS if name not in present]:
            what = f"the certificate lacks checks ({', '.join(lacking)})"
            raise LeakageError(what, where=self.path, remedy="Run `heart2heart certify` on it")
        failed = [check for check in certificate.checks if check.status == CheckStatus.FAIL]
        if failed:
            details = "; ".join(f"{check.name}: {check.detail}" for check in failed)
            remedy = "Propose a split without the leak"
            raise LeakageError(f"this split leaks ({details})", where=self.path, remedy=remedy)
        return certificate

    def check_data(self, stores: Frames) -> None:
        """Refuse stores whose clips or pixels changed after the split.

        Raises:
            SplitError: a clip is missing, has other pixels, or is hidden or quarantined for text in its pictures.
        """
        excluded = stores.text_review.excluded.intersection(self.members["clip"].to_pylist())
        if excluded:
            what = f"{len(excluded)} clips of this split are hidden, or in quarantine, for text in their pictures"
            remedy = "Review them with `heart2heart review`, or propose and certify a split without them"
            raise SplitError(what, where=self.path, remedy=remedy)
        if data_digest(stores, self.members) != self.data_sha256:
            what = "the stores no longer hold the clips and pixels of this split"
            raise SplitError(what, where=self.path, remedy="Name the same stores, or propose a new split")

    def select(self, stores: Frames, role: str | Sequence[str]) -> SelectedFrames:
        """Find the frames of one or more roles in `stores`."""
        roles = [role] if isinstance(role, str) else list(role)
        members = self.members.filter(pc.is_in(self.members["role"], pa.array(roles, pa.string())))
        index = pc.index_in(members["frame"], stores.frames["frame"])
        if index.null_count:
            what = f"{index.null_count} frames of this split are not in the stores"
            raise SplitError(what, where=self.path, remedy="Name every store of the split")
        rows = stores.frames["row"].take(index).to_numpy().astype(np.int64)
        targets = pc.fill_null(pc.index_in(members["view"], pa.array(self.classes, pa.string())), -1)
        return SelectedFrames(rows, targets.to_numpy().astype(np.int64), members)

    def counts(self) -> list[tuple[str, str, int, int]]:
        """Return hospital, role, patients and frames, in the split's order of hospitals."""
        rows = self.members.group_by(["site", "role"]).aggregate([("patient", "count_distinct"), ("frame", "count")])
        order = {site: index for index, site in enumerate((*self.source_sites, *self.held_out_sites))}
        counts = [(r["site"], r["role"], r["patient_count_distinct"], r["frame_count"]) for r in rows.to_pylist()]
        return sorted(counts, key=lambda row: (order[row[0]], list(SplitRole).index(row[1])))

    def dataset(self, store: Frames, role: str | Sequence[str]) -> FrameDataset:
        """Return the frames of one or more roles as a dataset for `torch.utils.data.DataLoader`.

        Args:
            store: Stores with all frames of the split.
            role: `train`, `validation`, `test` or `unlabeled`, or several of them.

        Returns:
            A map-style dataset of pairs: uint8 `(size, size)` and the class index, -1 where there is none.

        Examples:
            >>> import heart2heart as h2h
            >>> h2h.load_split("split").dataset(h2h.open_store("store"), "train")
            <FrameDataset: 24 frames, 24 with a target>
        """
        selected = self.select(store, role)
        return FrameDataset(store, selected.rows, selected.targets)

    def to_frame(self) -> pd.DataFrame:
        """Return the members as a pandas DataFrame, one row per frame.

        Raises:
            ConfigError: pandas is not installed.

        Examples:
            >>> import heart2heart as h2h
            >>> sorted(h2h.load_split("split").to_frame()["role"].unique())
            ['excluded', 'test', 'train', 'unlabeled', 'validation']
        """
        return data_frame(self.members)

    def __repr__(self) -> str:
        """Return hospitals, views and hash in one line."""
        held_out = ", ".join(self.held_out_sites) or "none"
        sites = f"source {', '.join(self.source_sites)}, held out {held_out}"
        return f"<SplitManifest({self.name!r}): {sites}; {', '.join(self.classes)}; {self.sha256[:16]}>"

    def _repr_html_(self) -> str:
        """Return the counts of each hospital and role, and the checks of the certificate, for a notebook."""
        counts = html_table(("hospital", "role", "patients", "frames"), self.counts())
        if not (self.path / "certificate.json").exists():
            return html_card(f"Split {self.name}, frozen, not certified", counts)
        certificate = self.certificate()
        checks = html_table(("check", "status", "found"), [(c.name, c.status, c.detail) for c in certificate.checks])
        state = "certified" if certificate.passed else "LEAKS"
        return html_card(f"Split {self.name}, frozen, {state}", counts, checks)

    def info(self) -> SplitInfo:
        """Return the description of this split for predictions and reports."""
        certificate = self.certificate()
        return SplitInfo(
            name=self.name,
            sha256=self.sha256,
            certificate_sha256=certificate.digest(),
            source_sites=self.source_sites,
            held_out_sites=self.held_out_sites,
            checks=certificate.checks,
            flags_rule=recorded_flags_rule(self.settings),
        )


def members_digest(members: pa.Table) -> str:
    """Return the hash of all members, independent of Parquet's encoding."""
    total = hashlib.sha256()
    for column in members.column_names:
        total.update("\x1f".join("" if value is None else value for value in members[column].to_pylist()).encode())
        total.update(b"\x1e")
    return total.hexdigest()


def data_digest(stores: Frames, members: pa.Table) -> str:
    """Return the hash over clip names and pixel hashes of all clips that have a member."""
    clips = stores.clips
    clip_hashes = clips.filter(pc.is_in(clips["clip"], pc.unique(members["clip"]))).select(["clip", "pixel_hash"])
    return sha256_json(sorted(zip(clip_hashes["clip"].to_pylist(), clip_hashes["pixel_hash"].to_pylist(), strict=True)))
