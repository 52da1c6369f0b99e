"""What one file may cost before it is given up: wall time and memory of the process that works on it."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

from heart2heart.errors import ConfigError

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Limits:
    """Limits of one file in one worker process.

    Attributes:
        seconds: Wall time of one file; beyond it the process is killed and the file is `failed:timeout`.
        memory_mib: Private memory that a process may take on top of what it holds when it starts (about 200 MiB), by
            RLIMIT_DATA of Linux; a file that needs more is `failed:memory`. Other systems do not enforce it.

    Raises:
        ConfigError: a limit under which no clip could be worked on.
    """

    seconds: float = 600.0
    memory_mib: int = 2048

    def __post_init__(self) -> None:
        if self.seconds <= 0 or self.memory_mib < 64:
            raise ConfigError("limits that no file can keep", remedy="Allow some seconds and at least 64 MiB a file")

    def restrain(self) -> None:
        """Bound the memory of this process from here on."""
        held = 0
        if _STATUS.exists():
            fields = dict(line.split(":", 1) for line in _STATUS.read_text(encoding="ascii").splitlines())
            held = int(fields["VmData"].split()[0]) * 1024
        wanted = held + self.memory_mib * 2**20
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(
            resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
