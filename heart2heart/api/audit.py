"""Records who did what with patient data, and verifies, shows and exports that record.

`audited` stands before every function of this package that reads, moves, shows or releases patient data. The log is the
file `audit.jsonl` in the folder that holds the store, the spool folder, the label store or the results.
"""

from __future__ import annotations

import hmac
import inspect
import os
import platform
import pwd
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from heart2heart.schema.enums import AuditAction, AuditPhase

if TYPE_CHECKING:
    from heart2heart.audit.log import Build, ChainEnd
    from heart2heart.schema.audit import AuditObject, AuditRecord, Mac

AUDIT_FILE = "audit.jsonl"
"""Name of the log in the folder of the data."""
LOG_VARIABLE = "HEART2HEART_AUDIT_LOG"
"""Environment variable with the path of the log; the option `--audit-log` sets it for one command."""
KEY_VARIABLE = "HEART2HEART_AUDIT_KEY"
"""Environment variable with the path of the key of the log, a key file; made on first use."""

MAX_NUMBERS = 64
"""Numbers of a result that a record keeps."""

P = ParamSpec("P")
R = TypeVar("R")


def use_audit_log(path: str | Path) -> None:
    """Write the audit records of this process and of those that it starts to one file.

    Args:
        path: The log; made with mode 0600 if it is missing.

    Examples:
        >>> import os
        >>> from heart2heart.api import use_audit_log
        >>> before = os.environ.get("HEART2HEART_AUDIT_LOG", "audit.jsonl")
        >>> use_audit_log("hospital_audit.jsonl")
        >>> os.environ["HEART2HEART_AUDIT_LOG"].endswith("hospital_audit.jsonl")
        True
        >>> use_audit_log(before)
    """
    os.environ[LOG_VARIABLE] = str(Path(path).absolute())


def audited(
    action: AuditAction,
    *,
    beside: str,
    reads: Sequence[str] = (),
    writes: Sequence[str] = (),
    site: str | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that records the beginning and the end of each call of a function.

    The call is not made if the record of its beginning cannot be written.

    Args:
        action: What the function does.
        beside: Parameter with the path in whose folder the log lies.
        reads: Parameters with paths that it reads.
        writes: Parameters with paths that it writes.
        site: Parameter with the name of the hospital.

    Examples:
        >>> from heart2heart.api.audit import audited
        >>> from heart2heart.schema.enums import AuditAction
        >>> @audited(AuditAction.SHOW, beside="page", writes=["page"])
        ... def write(page: str) -> int:
        ...     return 3
        >>> write("page.html")
        3
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        unknown = {beside, *reads, *writes, *([site] if site else [])} - set(signature.parameters)
        assert not unknown, f"{function.__name__} has no parameter {unknown}"

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            values = bound.arguments
            used = {"input": [values[name] for name in reads], "output": [values[name] for name in writes]}
            with _operation(action, values[beside], used, values[site] if site else None) as numbers:
                result = function(*args, **kwargs)
                numbers.update(_numbers(result))
            return result

        return call

    return decorate


@contextmanager
def _operation(
    action: AuditAction, beside: object, used: Mapping[str, Sequence[object]], site: object
) -> Iterator[dict[str, int]]:
    """Record the beginning of an operation, and its end with the numbers that the caller adds or the kind of error."""
    log, mac = _log_file(beside), _mac()
    operation, numbers = secrets.token_hex(8), dict[str, int]()

    def build(phase: AuditPhase, error: str | None = None) -> Build:
        more: dict[str, Any] = {"used": used, "site": site, "error": error, "counts": numbers}
        return lambda end: _record(end, log, action, phase, operation, mac, **more)

    _append(log, build(AuditPhase.BEGAN), mac)
    try:
        yield numbers
    except BaseException as error:
        _append(log, build(AuditPhase.ENDED, type(error).__name__), mac)
        raise
    _append(log, build(AuditPhase.ENDED), mac)


def _numbers(result: object) -> dict[str, int]:
    """Return the numbers of a result: whole numbers of its fields and of its summary, or the length of a list."""
    if isinstance(result, int) and not isinstance(result, bool):
        return {"count": result}
    if isinstance(result, Sequence) and not isinstance(result, str):
        return {"count": len(result)}
    if not is_dataclass(result):
        return {}
    numbers: dict[str, int] = {}
    for each in fields(result):
        value = getattr(result, each.name)
        if each.name == "summary":
            numbers |= _numbers(value)
        elif isinstance(value, Mapping):
            numbers |= {str(name): count for name, count in value.items() if type(count) is int}
        elif type(value) is int:
            numbers[each.name] = value
        elif isinstance(value, tuple | list):
            numbers[each.name] = len(value)
    return dict(list(numbers.items())[:MAX_NUMBERS])


def _append(log: Path, build: Build, mac: Mac | None) -> None:
    from heart2heart.audit.log import append_record

    append_record(log, build, start=_start(log, mac), mac=mac)


def _start(log: Path, mac: Mac | None) -> Build:
    return lambda end: _record(end, log, AuditAction.START, AuditPhase.ENDED, secrets.token_hex(8), mac)


def _record(
    end: ChainEnd,
    log: Path,
    action: AuditAction,
    phase: AuditPhase,
    operation: str,
    mac: Mac | None,
    *,
    used: Mapping[str, Sequence[object]] | None = None,
    site: object = None,
    error: str | None = None,
    counts: Mapping[str, int] | None = None,
) -> AuditRecord:
    from heart2heart import __version__
    from heart2heart.schema.audit import MAX_OBJECTS, AuditRecord

    first = end.first is None
    salt = (None if mac else secrets.token_hex(32)) if end.first is None else end.first.salt
    objects = [each for role, values in (used or {}).items() for each in _objects(role, values, log, salt, mac)]
    return AuditRecord(
        number=end.number,
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        action=action,
        phase=phase,
        operation=operation,
        user=_account(),
        host=_plain(platform.node()),
        process=os.getpid(),
        program=f"heart2heart {__version__}",
        site=None if site is None else _plain(str(site)),
        error=error,
        objects=tuple(objects[:MAX_OBJECTS]),
        more_objects=max(0, len(objects) - MAX_OBJECTS),
        counts={_plain(str(name)): int(count) for name, count in (counts or {}).items()},
        salt=salt if first else None,
        keyed=first and mac is not None,
        torn_sha256=end.torn_sha256,
        previous=end.previous,
    )


def _objects(
    role: str, values: Sequence[object], log: Path, salt: str | None, mac: Mac | None
) -> Iterator[AuditObject]:
    from heart2heart.schema.audit import AuditObject

    for path in (path for value in values for path in _paths(value)):
        absolute = path if "://" in path else str(_absolute(path))
        hashed = mac(absolute) if mac else hmac.digest((salt or "").encode(), absolute.encode(), "sha256").hex()
        below = os.path.relpath(absolute, log.parent) if role == "output" and "://" not in path else ".."
        name = None if below.startswith("..") else _plain(below)
        yield AuditObject.parse({"role": role, "path": hashed, "name": name}, where=log)


def _paths(value: object) -> list[str]:
    """Return the paths that an argument names: paths, lists of them, or open stores and runs."""
    if value is None:
        return []
    if isinstance(value, str | os.PathLike):
        return [os.fspath(value) if isinstance(value, str) else str(value)]
    if isinstance(value, Sequence):
        return [path for each in value for path in _paths(each)]
    for name in ("root", "path", "folder"):
        if isinstance(getattr(value, name, None), Path):
            return [str(getattr(value, name))]
    members = getattr(value, "stores", None)
    return _paths(list(members)) if isinstance(members, Sequence) else []


def _absolute(path: str) -> Path:
    """Return a path without `..`, links as they are."""
    return Path(os.path.normpath(Path(path).absolute()))


def _plain(text: str) -> str:
    return re.sub(r"[^\w.:@/ -]", "_", text)[:200].strip() or "unknown"


def _account() -> str:
    try:
        return _plain(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        return f"uid {os.getuid()}"


def _log_file(beside: object) -> Path:
    """Return the log: the one that was named, else that of the folder of the data, else that of the account.

    A folder that cannot be written, such as a shared one with models, has no log of its own.
    """
    named = os.environ.get(LOG_VARIABLE)
    if named:
        return Path(named)
    paths = _paths(beside)
    folder = _absolute(paths[0]).parent if paths else Path.cwd()
    existing = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    log = folder / AUDIT_FILE
    if os.access(log if log.exists() else existing, os.W_OK):
        return log
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "heart2heart" / AUDIT_FILE


def _mac() -> Mac | None:
    path = os.environ.get(KEY_VARIABLE)
    if not path:
        return None
    from heart2heart.deidentify.pseudonyms import Key

    return key_mac(Key.open(Path(path)).secret)


def key_mac(secret: bytes) -> Mac:
    """Return the HMAC-SHA256 under a key, as the records of a log carry it.

    Examples:
        >>> from heart2heart.api.audit import key_mac
        >>> len(key_mac(bytes(32))("record"))
        64
    """
    return lambda text: hmac.digest(secret, b"heart2heart audit log\0" + text.encode(), "sha256").hex()
