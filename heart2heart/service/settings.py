"""Settings of the service, one YAML file: models, doors, destination, limits and monitoring."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from heart2heart.annotate.listen_address import (
    ListenFaults,
    accepted_hosts,
    check_address,
    is_loopback_bind,
    parse_bind,
    url_scheme,
)
from heart2heart.config import Config
from heart2heart.ingest.settings import Limits
from heart2heart.pacs.destination import DestinationSettings
from heart2heart.pacs.storage_scp import ReceiveSettings

_FAULTS = ListenFaults(
    token="beyond loopback callers need a token: give web.token",
    encryption="clips would go over the network unencrypted: give web.certificate, or web.allow_http",
    names="the host name of the service is not known: give web.names",
)


class ServedModel(Config):
    """One model of the service."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")
    """Its name in answers, metrics and on the page."""
    path: Path
    """A run, an exported file, a bundle or a model folder."""
    silent: bool = False
    """Whether its answers are only kept and compared with those of the active model. One model is not silent."""
    trusted_key: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    """Public key that must have signed its folder; null: a signature is not required."""


class WebSettings(Config):
    """The address of STOW-RS, upload, answers, metrics and page."""

    bind: str = "127.0.0.1"
    """Address to listen at. Beyond loopback, `token` must be given, and `certificate` or `allow_http`."""
    port: int = Field(8042, ge=0, le=65535)
    """TCP port; 0 chooses a free one."""
    names: tuple[str, ...] = Field((), max_length=100)
    """Host names by which callers may name the service, beside its address; other names are refused."""
    token: Path | None = None
    """File (mode 0600) with the token of callers, at least 16 characters; null, on loopback only: none is needed."""
    certificate: Path | None = None
    """TLS certificate (PEM)."""
    private_key: Path | None = None
    """Private key of the certificate (PEM)."""
    allow_http: bool = False
    """Whether token and clips may go unencrypted over a network."""
    request_seconds: float = Field(600.0, gt=0, le=86_400)
    """Time of one request to arrive."""
    request_bytes: int = Field(8 * 2**30, ge=1)
    """Maximum size of one request."""
    request_instances: int = Field(1000, ge=1, le=100_000)
    """Maximum number of instances in one request of STOW-RS."""

    @field_validator("bind")
    @classmethod
    def _address(cls, value: str) -> str:
        return parse_bind(value)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        check_address(self, has_token=self.token is not None, faults=_FAULTS)
        return self

    @property
    def is_local(self) -> bool:
        """Whether the service can be reached from this machine alone."""
        return is_loopback_bind(self.bind)

    @property
    def scheme(self) -> str:
        """`https` with a certificate, else `http`."""
        return url_scheme(self)

    def hosts(self, port: int) -> frozenset[str]:
        """Return the accepted values of the Host header, for the port that the service listens at."""
        return accepted_hosts(self, port)


class ServiceLimits(Config):
    """What the service takes at most."""

    waiting_clips: int = Field(10_000, ge=1, le=1_000_000)
    """Clips that wait for an answer; beyond it the service takes no further clip."""
    free_bytes: int = Field(2**30, ge=0)
    """Free space of the disk below which the service takes no further clip."""
    instance_bytes: int = Field(4 * 2**30, ge=1)
    """Maximum size of one instance."""
    file: Limits = Limits()
    """Time and memory of one file in a worker."""
    keep_days: float = Field(90.0, gt=0, le=3650)
    """Days that answers are kept; a clip that comes again within them is not answered again."""


class MonitorPart(Config):
    """Comparison of what comes in with the validation of the active model."""

    reference: Path | None = None
    """Reference that `heart2heart service-reference` wrote; null: inputs are not compared."""
    window: int = Field(1000, ge=50, le=100_000)
    """Number of the last clips that are compared."""
    site: str = Field("this hospital", pattern=r"^\w[\w .-]{0,63}$")
    """Name of the hospital in the drift test and in the store of the audit sample."""
    false_alarms: float = Field(0.05, gt=0, lt=1)
    """Largest probability of any alarm of the drift test, in all weeks together, while nothing changes."""
    least_accuracy: float | None = Field(None, gt=0, lt=1)
    """Accuracy, as a mean over patients, below which audited clips raise the alarm; null: it is not watched."""
    audit_share: float = Field(0.0, ge=0, le=1)
    """Share of answered clips that go to the label queue, chosen by chance."""
    audit_clips: int = Field(500, ge=1, le=100_000)
    """Maximum number of clips in that queue; beyond it none is added."""


class ServiceSettings(Config):
    """One service."""

    folder: Path
    """Folder of the queue, the answers and the reports (mode 0700), outside any store; created if missing."""
    models: tuple[ServedModel, ...] = Field(min_length=1, max_length=16)
    """The models, one of them active."""
    key: Path | None = None
    """Key of the names of clips, studies and patients, created on first use. Null: `FOLDER.key`."""
    dicom: ReceiveSettings | None = None
    """Receiver of C-STORE; null: none."""
    web: WebSettings = WebSettings()
    """Receiver of STOW-RS and upload, answers, metrics and page."""
    destination: DestinationSettings | None = None
    """Archive that gets a structured report of each study; null: answers as JSON only."""
    quiet_seconds: float = Field(30.0, ge=0, le=86_400)
    """Time without a new clip of a study after which its report is made."""
    frames: str = "all"
    """Frames to read of each clip: `all`, `every:N`, `even:K` or `ed_es:K`."""
    workers: int = Field(2, ge=0, le=256)
    """Processes that read files; 0 reads in this process, where a codec that crashes ends the service."""
    limits: ServiceLimits = ServiceLimits()
    """What the service takes at most."""
    monitor: MonitorPart = MonitorPart()
    """Comparison of what comes in with the validation."""

    @model_validator(mode="after")
    def _one_active_model(self) -> Self:
        names = [model.name for model in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two models have the name {twice[0]}")
        if sum(not model.silent for model in self.models) != 1:
            raise ValueError("one model must be active, and all others silent")
        return self

    @model_validator(mode="after")
    def _weeks_are_kept(self) -> Self:
        if self.monitor.reference is not None and self.limits.keep_days < 14:
            raise ValueError("the drift test compares whole weeks: limits.keep_days must be at least 14")
        return self

    @property
    def active(self) -> ServedModel:
        """The model whose answers are given."""
        return next(model for model in self.models if not model.silent)
