"""The audit sample of a service: into the store of the label page, and its labels into the drift test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.cases import read_audit_labels
from heart2heart.api.ingest import ingest_files
from heart2heart.api.stores import key_path
from heart2heart.errors import ConfigError, MissingInputError

if TYPE_CHECKING:
    from heart2heart.evaluation.drift import MonitorState
    from heart2heart.service.settings import ServiceSettings
    from heart2heart.store.geometry import Geometry


@dataclass(frozen=True)
class ServiceAudit:
    """Result of one call of `add_service_audit`.

    Attributes:
        added: Weeks that were added.
        incomplete: Weeks left out, and their clips that have no label yet.
        state: What the journal of the drift test shows.
    """

    added: tuple[str, ...]
    incomplete: dict[str, int]
    state: MonitorState

    @property
    def headline(self) -> str:
        """What the journal shows, in one sentence."""
        from heart2heart.reporting.monitor_page import headline

        return headline(self.state)


def ingest_sample(settings: ServiceSettings, geometry: Geometry) -> int:
    """Take the kept files of the audit sample into its store, de-identified, and remove them; return their number.

    Args:
        settings: Settings of the service.
        geometry: Geometry of the frames of its models.

    Raises:
        Heart2HeartError: as `ingest_files`; the files stay, and the next call takes them.

    Examples:
        >>> from heart2heart.api import open_store
        >>> from heart2heart.api.service_audit import ingest_sample
        >>> from heart2heart.service.settings import ServiceSettings
        >>> content = {"folder": "service", "models": [{"name": "one", "path": "run"}]}
        >>> ingest_sample(ServiceSettings.parse(content, where="example"), open_store("store").geometry)
        0
    """
    from heart2heart.deidentify.pseudonyms import Key
    from heart2heart.ingest.ledger import Ledger
    from heart2heart.ingest.source_files import file_id, find_files
    from heart2heart.schema.status import CODES
    from heart2heart.service.audit import AUDIT_STORE
    from heart2heart.service.running import AUDIT

    key, site = key_path(settings.folder, settings.key), settings.monitor.site
    folder = settings.folder.absolute() / AUDIT  # the ledger names absolute paths
    if not folder.is_dir() or not any(folder.glob("*.dcm")):
        return 0
    files = find_files(sorted(folder.glob("*.dcm")))
    store = folder / AUDIT_STORE
    ingest_files(
        files, site=site, store=store, key=key, geometry=geometry.name, size=geometry.size, frames=settings.frames,
        workers=min(1, settings.workers),
    )  # fmt: skip
    ledger, secret = Ledger(store), Key.load(key)
    for path in files:
        status = ledger.status_of(file_id(secret, site, path))
        if status is not None and not CODES[status].retried:
            path.unlink()
    return len(files)


def add_service_audit(
    config: str | Path | ServiceSettings,
    labels: str | Path,
    *,
    weeks: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> ServiceAudit:
    """Add the labels of audited clips to the drift test of a service, which may be running.

    Args:
        config: Settings of the service, or their YAML file.
        labels: Label store of the audit sample; see `read_audit_labels`.
        weeks: ISO weeks to add, also if some of their clips have no label; empty: every week whose clips all have one.
        overrides: Dotted overrides, as for `serve`.

    Raises:
        ConfigError: the settings have no reference or no `least_accuracy`, or a week was not added or audited before.
        MissingInputError: the service has no journal yet, or no answered clip of a week has a label.

    Examples:
        >>> from heart2heart.api.service_audit import add_service_audit
        >>> from heart2heart.errors import ConfigError
        >>> from heart2heart.service.settings import ServiceSettings
        >>> content = {"folder": "service", "models": [{"name": "one", "path": "run"}]}
        >>> try:
        ...     add_service_audit(ServiceSettings.parse(content, where="example"), "labels.db")
        ... except ConfigError as error:
        ...     print(error.what)
        audited clips are not tested
    """
    from heart2heart.evaluation.drift import assess_journal
    from heart2heart.schema.monitor import append_record, read_journal
    from heart2heart.schema.service import ServiceReference
    from heart2heart.service.audit import audit_record, read_audit_table
    from heart2heart.service.drift import journal_path, unaudited_weeks
    from heart2heart.service.running import AUDIT
    from heart2heart.service.settings import ServiceSettings
    from heart2heart.utils import read_json

    settings = config if isinstance(config, ServiceSettings) else ServiceSettings.load(Path(config), overrides)
    path = settings.monitor.reference
    if path is None or settings.monitor.least_accuracy is None:
        remedy = "Give monitor.reference and monitor.least_accuracy, and start the service again"
        raise ConfigError("audited clips are not tested", where="monitor", remedy=remedy)
    content = read_json(path, what="reference of a service")
    reference = ServiceReference.parse(content if isinstance(content, dict) else {}, where=path)
    journal = journal_path(settings.folder, reference, settings.monitor)
    if not journal.exists():
        remedy = "Run the service with this reference and these settings for a week"
        raise MissingInputError("this service has no journal of these settings", where=settings.folder, remedy=remedy)
    rows, known = read_audit_table(settings.folder / AUDIT), read_audit_labels(labels)
    open_weeks = list(weeks) or unaudited_weeks(read_journal(journal))
    missing = {week: sum(row.week == week and row.clip not in known for row in rows) for week in open_weeks}
    sampled = {row.week for row in rows}
    chosen = [week for week in open_weeks if weeks or (week in sampled and not missing[week])]
    for week in chosen:
        append_record(journal, audit_record(week, rows, known, reference.classes))
    incomplete = {week: count for week, count in missing.items() if count and week not in chosen}
    return ServiceAudit(tuple(chosen), incomplete, assess_journal(read_journal(journal)))
