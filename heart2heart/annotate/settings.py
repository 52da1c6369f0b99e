"""Settings of the annotation page."""

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
from heart2heart.schema.enums import POOL_MODES, ClipMode

_FAULTS = ListenFaults(
    token="beyond loopback each rater needs a token: give --raters",
    encryption="tokens would go over the network unencrypted: give --certificate, or --allow-http",
    names="the host name of the page is not known: give --name",
)


class AnnotationSettings(Config):
    """Address of the page, its raters, and the clips that it shows."""

    bind: str = "127.0.0.1"
    """Address to listen at. Beyond loopback, `raters` must be given, and `certificate` or `allow_http`."""
    port: int = Field(default=8080, ge=0, le=65535)
    """TCP port; 0 chooses a free one."""
    names: tuple[str, ...] = ()
    """Host names by which browsers may open the page, beside its address; requests to other names are refused."""
    raters: Path | None = None
    """File of raters and their tokens; without one, on loopback only, raters sign in by name."""
    certificate: Path | None = None
    """TLS certificate (PEM)."""
    private_key: Path | None = None
    """Private key of the certificate (PEM)."""
    allow_http: bool = False
    """Whether tokens and frames may go unencrypted over a network."""
    double: float | None = Field(default=None, ge=0, le=1)
    """Share of the clips that two raters read, each blind to the other and to the model. None: the share in the label
    store, or 0.2 for a new one."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Seed of the choice of the clips that are read twice. None: the seed in the label store, or a random one."""
    replan: bool = False
    """Whether `double` and `seed` may replace those of the label store."""
    gold: float = Field(default=0.0, ge=0, le=0.5)
    """Share of each rater's readings that are of gold clips, whose label is known; see `heart2heart labels gold`."""
    suggest: bool = False
    """Whether to show the model's suggestion. Clips read twice, and an equal share of the others, show none."""
    modes: tuple[ClipMode, ...] = Field(POOL_MODES, min_length=1)
    """Modes of the clips to label."""

    @field_validator("bind")
    @classmethod
    def _address(cls, value: str) -> str:
        return parse_bind(value)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        check_address(self, has_token=self.raters is not None, faults=_FAULTS)
        return self

    @property
    def is_local(self) -> bool:
        """Whether the page can be reached from this machine alone."""
        return is_loopback_bind(self.bind)

    @property
    def scheme(self) -> str:
        """`https` with a certificate, else `http`."""
        return url_scheme(self)

    def hosts(self, port: int) -> frozenset[str]:
        """Return the accepted values of the Host header, for the port that the page listens at."""
        return accepted_hosts(self, port)
