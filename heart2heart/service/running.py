"""Runs the service: its doors, the answers, the reports and the sender, each in a thread, until it is stopped."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from heart2heart.deidentify.pseudonyms import Key
from heart2heart.errors import Heart2HeartError, NoSpaceError
from heart2heart.evaluation.drift import MonitorState
from heart2heart.ingest.executors import FilePool
from heart2heart.pacs.storage_scp import receive
from heart2heart.prediction.loaded_clip import PredictionTask
from heart2heart.schema.service import ClipState, ServiceReference
from heart2heart.service.answering import Answerer, AnsweringModel
from heart2heart.service.audit import AuditSample
from heart2heart.service.drift import DriftWatch
from heart2heart.service.intake import Intake, ServiceSpool
from heart2heart.service.metrics import LatencyHistogram, ServiceMetrics
from heart2heart.service.monitoring import InputShift, input_shifts, last_measures
from heart2heart.service.queue import ServiceQueue
from heart2heart.service.reports import ReportSender, ReportWriter
from heart2heart.service.settings import ServiceSettings
from heart2heart.service.web import build_service_app, read_token
from heart2heart.service.web_parts import WebParts
from heart2heart.store.geometry import Geometry

TICK_SECONDS = 0.1
_FULL_DISK_SECONDS = 5.0
_FORGET_SECONDS = 3600.0
_AUDIT_SECONDS = 60.0
SPOOL, REPORTS, AUDIT = "incoming", "reports", "audit"
"""Folders below that of the service: clips, reports, and clips that are kept for labels."""


class ReadyReport(Protocol):
    """Receives the addresses of the service once it takes clips."""

    def __call__(self, *, web: str, dicom: str | None) -> None:
        """Take the address of the page, and that of the C-STORE receiver."""


def write_log(event: str, **facts: object) -> None:
    """Write a line of JSON to standard error; it holds no identifier of a patient or a study."""
    time_text = datetime.now(UTC).isoformat(timespec="milliseconds")
    print(json.dumps({"time": time_text, "event": event, **facts}), file=sys.stderr, flush=True)


class Service:
    """One service over its folder; get it from `Service.open`.

    Args:
        settings: The settings.
        key: Key of the names of studies and patients.
        spool: Where clips arrive.
        queue: The queue.
        pool: Reads files.
        models: The models.
        reference: The validation's inputs; None: nothing is compared.
        audited_send: Wraps the sending of one report, for the audit log.
        ingest_sample: Takes what the audit sample kept into its store, and returns the number of files.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        key: Key,
        spool: ServiceSpool,
        queue: ServiceQueue,
        pool: FilePool,
        models: Sequence[AnsweringModel],
        reference: ServiceReference | None,
        audited_send: Callable[[Path, Callable[[], object]], None],
        ingest_sample: Callable[[], int],
    ) -> None:
        self.settings, self.queue, self.spool = settings, queue, spool
        self.stop_event, self.listening = threading.Event(), threading.Event()
        self._reference, self._models = reference, models
        self._shift_cache: tuple[float, list[InputShift]] = (-1e9, [])
        self.intake = Intake(spool, queue, settings.limits)
        self._ingest_sample = ingest_sample
        self.watch = None if reference is None else DriftWatch(queue, settings.folder, reference, settings.monitor)
        sample = AuditSample(settings.folder / AUDIT, settings.monitor, key)
        self._answerer = Answerer(
            queue, self.intake, pool, models, key, settings.destination is not None,
            lambda row, path: sample.keep(row, queue.active, path),
        )  # fmt: skip
        self._writer = ReportWriter(queue, self.intake, settings.folder / REPORTS)
        self._sender = None
        if settings.destination is not None:
            self._sender = ReportSender(
                queue, settings.folder / REPORTS, settings.destination, write_log, audited_send
            )  # fmt: skip
        self._latency = LatencyHistogram()
        self.metrics = ServiceMetrics(
            queue, settings.folder, self._latency, self.intake.has_room, self.shifts, self.drift
        )  # fmt: skip

    @classmethod
    @contextmanager
    def open(
        cls,
        settings: ServiceSettings,
        models: Sequence[AnsweringModel],
        geometry: Geometry,
        *,
        weights: dict[str, str],
        reference: ServiceReference | None,
        audited_send: Callable[[Path, Callable[[], object]], None],
        ingest_sample: Callable[[], int] = lambda: 0,
    ) -> Iterator[Service]:
        """Open the folder of a service, and start its worker processes.

        Args:
            settings: The settings.
            models: The models, all with one geometry.
            geometry: Geometry of their frames.
            weights: Hash of the weights of each model by name.
            reference: The validation's inputs.
            audited_send: Wraps the sending of one report.
            ingest_sample: Takes what the audit sample kept into its store.

        Raises:
            ConfigError: the folder or the key cannot be used, or a model's name was that of another one.
            ExistsError: another service uses the folder.
            StoreError: the queue is damaged, or of another version.
        """
        folder = settings.folder
        key_path = settings.key or folder.with_name(f"{folder.name}.key")
        with ExitStack() as stack:
            spool = stack.enter_context(ServiceSpool.open(folder / SPOOL, key_path))
            assert isinstance(spool, ServiceSpool)
            queue = stack.enter_context(ServiceQueue.open(folder, settings.active.name))
            queue.require_same_models(folder, weights)
            pool = FilePool(PredictionTask(geometry, settings.frames), settings.workers, settings.limits.file)
            stack.callback(pool.close)
            key = Key.open(key_path, outside=folder)
            yield cls(settings, key, spool, queue, pool, models, reference, audited_send, ingest_sample)

    def shifts(self) -> list[InputShift]:
        """Return the measures of the last clips beside the reference, computed at most every ten seconds."""
        if self._reference is None:
            return []
        computed_at, shifts = self._shift_cache
        if time.monotonic() - computed_at > 10:
            shifts = input_shifts(self._reference, last_measures(self.queue, self.settings.monitor.window))
            self._shift_cache = time.monotonic(), shifts
        return shifts

    def drift(self) -> MonitorState | None:
        """Return what the journal of the drift test shows; None: there is no test, or the journal is damaged."""
        return None if self.watch is None else self.watch.shown()

    def run(self, ready: ReadyReport) -> None:
        """Serve until `stop`; then end what is in work, and leave the rest in the queue.

        Args:
            ready: Called once clips are taken.

        Raises:
            Heart2HeartError: a door cannot be opened, or a part of the service has ended with an error.
        """
        from heart2heart.annotate.page_server import PageServer

        self._writer.clean()
        self.queue.retry_refused()
        token = read_token(self.settings.web.token)
        parts = WebParts(
            self.settings, self.spool, self.intake, self.queue, self.metrics, self.shifts, self.drift,
            self.listening.is_set,
        )  # fmt: skip
        server = PageServer(
            self.settings.web,
            lambda port, hosts: build_service_app(parts, token, hosts),
            request_seconds=self.settings.web.request_seconds,
        )
        addresses: dict[str, str] = {}
        dicom_ready = threading.Event()
        jobs: list[Callable[[], object]] = [self._answer, lambda: server.run(lambda address: None)]
        if self._sender is not None:
            jobs += [self._report, self._send]
        if self.settings.monitor.audit_share:
            jobs.append(self._audit)
        if self.settings.dicom is not None:
            dicom = self.settings.dicom

            def on_ready(address: str, port: int) -> None:
                addresses["dicom"] = f"{dicom.ae_title}@{address}:{port}"
                dicom_ready.set()

            jobs.append(lambda: receive(self.spool, dicom, stop=self.stop_event, ready=on_ready))
        else:
            dicom_ready.set()
        with ThreadPoolExecutor(len(jobs)) as executor:
            futures = [executor.submit(job) for job in jobs]
            for future in futures:
                future.add_done_callback(lambda future: self.stop_event.set())
            try:
                while not dicom_ready.wait(TICK_SECONDS) and not self.stop_event.is_set():
                    continue
                if not self.stop_event.is_set():
                    self.listening.set()
                    write_log("started", model=self.settings.active.name, waiting=self.queue.count(ClipState.WAITING))
                    ready(web=server.address, dicom=addresses.get("dicom"))
                self.stop_event.wait()
            finally:
                self.stop_event.set()
                self.listening.clear()
                server.stop()
        for future in futures:
            future.result()
        write_log("stopped")

    def stop(self) -> None:
        """Make `run` return soon; may be called from a signal handler."""
        self.stop_event.set()

    def _repeat(self, work: Callable[[], int]) -> None:
        """Call `work` until the service stops; wait where it had nothing to do, longer on a full disk."""
        while not self.stop_event.is_set():
            try:
                pause = 0.0 if work() else TICK_SECONDS
            except (NoSpaceError, sqlite3.OperationalError) as error:
                write_log("no space" if isinstance(error, NoSpaceError) else "queue not writable")
                pause = _FULL_DISK_SECONDS
            self.stop_event.wait(pause)

    def _answer(self) -> None:
        forgotten = -_FORGET_SECONDS

        def once() -> int:
            nonlocal forgotten
            if time.monotonic() - forgotten > _FORGET_SECONDS:
                self.queue.forget(self.settings.limits.keep_days)
                self.intake.forget()
                if self.watch is not None:
                    self.watch.work(time.time(), write_log)
                forgotten = time.monotonic()
            self.intake.scan()
            latencies = self._answerer.answer_batch()
            self._latency.add(latencies)
            return len(latencies)

        self._repeat(once)

    def _audit(self) -> None:
        while not self.stop_event.is_set():
            try:
                self._ingest_sample()
            except Heart2HeartError as error:
                write_log("audit sample not stored", error=type(error).__name__)
                self.queue.count_event("audit_failures")
            self.stop_event.wait(_AUDIT_SECONDS)

    def _report(self) -> None:
        self._repeat(lambda: self._writer.make_reports(self.settings.quiet_seconds))

    def _send(self) -> None:
        assert self._sender is not None
        sender = self._sender

        def once() -> int:
            finished = sender.send_due()
            self.intake.remove(finished)
            return len(finished)

        self._repeat(once)
