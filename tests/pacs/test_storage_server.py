"""Hostile callers of the receiver: silent, endless and slow."""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dsutils import encode

from heart2heart.dicom.header_values import silence_warnings
from tests.dicom.build import speckle_frames, write
from tests.pacs.test_storage_scp import Receiver, calling, receiving, sent_dataset, start

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
HEADER_OF_REQUEST = b"\x01\x00"


def closed(receiver: Receiver) -> int:
    """Return the connections that a stopped receiver closed."""
    assert receiver.done is not None
    return receiver.done.closed


def connect(port: int) -> socket.socket:
    """Open a connection and stay silent."""
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def is_closed(connection: socket.socket) -> bool:
    """Wait until the receiver says something; return whether it closed the connection."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def command(uid: str, kind: int = 1, data_set: int = 0) -> bytes:
    """Return the command set of a C-STORE or C-ECHO request."""
    request = Dataset()
    request.CommandGroupLength = 0
    request.AffectedSOPClassUID = UltrasoundMultiFrameImageStorage
    request.CommandField = kind
    request.MessageID = 1
    request.Priority = 0
    request.CommandDataSetType = data_set
    with silence_warnings():
        request.AffectedSOPInstanceUID = UID(uid)
        encoded = encode(request, True, True)
    assert encoded is not None
    return encoded


def pdu(association: Association, control: int, content: bytes) -> bytes:
    """Return a P-DATA-TF of one fragment."""
    context = association.accepted_contexts[0].context_id
    assert context is not None
    item = (len(content) + 2).to_bytes(4) + bytes((context, control)) + content
    return b"\x04\x00" + len(item).to_bytes(4) + item


@contextmanager
def raw_caller(port: int) -> Iterator[tuple[Association, socket.socket]]:
    """Open an association for multi-frame ultrasound whose socket the test writes to."""
    entity = AE("SENDER")
    entity.add_requested_context(UltrasoundMultiFrameImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="HEART2HEART")
    assert association.is_established
    assert association.dul.socket is not None
    connection = association.dul.socket.socket
    assert connection is not None
    try:
        yield association, connection
    finally:
        if association.is_alive():
            association.abort()


def wait_for_abort(association: Association) -> None:
    """Wait until the receiver has ended an association."""
    until = time.monotonic() + 120
    while association.is_established and time.monotonic() < until:
        time.sleep(0.02)
    assert not association.is_established


def store(receiver: Receiver, clip: Path) -> int:
    """Send one clip as a sender would; return the status."""
    with calling(receiver.port, [clip]) as association:
        assert association.is_established
        return int(association.send_c_store(clip).Status)


def test_receive_serves_a_sender_beside_silent_connections(tmp_path: Path) -> None:
    clip = write(tmp_path / "clip", speckle_frames(2))
    with receiving(tmp_path / "l", request_seconds=600.0) as receiver, ExitStack() as silent:
        connections = [silent.enter_context(connect(receiver.port)) for _ in range(60)]
        for connection in connections[::2]:
            connection.send(HEADER_OF_REQUEST)
        assert [store(receiver, clip) for _ in range(3)] == [0, 0, 0]
        assert is_closed(connections[0])
    assert closed(receiver) >= 60 - 10


def test_receive_refuses_a_connection_only_of_an_address_that_has_its_number(tmp_path: Path) -> None:
    with receiving(tmp_path / "l", per_address=2) as receiver, raw_caller(receiver.port), raw_caller(receiver.port):
        with connect(receiver.port) as third:
            assert is_closed(third)
        with socket.create_connection(
            ("127.0.0.1", receiver.port), timeout=10, source_address=("127.0.0.2", 0)
        ) as other:
            assert select.select([other], [], [], 0.3)[0] == []
    assert closed(receiver) == 1


@pytest.mark.parametrize(
    "first", [HEADER_OF_REQUEST + b"\xff" * 4, HEADER_OF_REQUEST + (2**17 + 1).to_bytes(4), b"GET / HTTP/1.1"]
)
def test_receive_closes_a_connection_whose_first_pdu_is_too_long_or_no_request(tmp_path: Path, first: bytes) -> None:
    with receiving(tmp_path / "l", request_seconds=600.0) as receiver, connect(receiver.port) as connection:
        connection.send(first)
        assert is_closed(connection)


def test_receive_closes_an_association_with_a_pdu_that_is_too_long(tmp_path: Path) -> None:
    with receiving(tmp_path / "l") as receiver, raw_caller(receiver.port) as (association, connection):
        connection.sendall(b"\x04\x00\xff\xff\xff\xff")
        wait_for_abort(association)


@pytest.mark.parametrize("first", [b"", HEADER_OF_REQUEST, HEADER_OF_REQUEST + (2**17).to_bytes(4) + bytes(100)])
def test_receive_closes_a_connection_that_sends_no_request_in_time(tmp_path: Path, first: bytes) -> None:
    with receiving(tmp_path / "l", request_seconds=0.3) as receiver, connect(receiver.port) as connection:
        connection.sendall(first)
        assert is_closed(connection)


@pytest.mark.parametrize("sent", [b"", b"\x04\x00", b"\x04\x00\x00\x00\x40\x00" + bytes(9)])
def test_receive_ends_an_association_that_falls_silent(tmp_path: Path, sent: bytes) -> None:
    limits = {"idle_seconds": 0.3}
    with receiving(tmp_path / "l", **limits) as receiver, raw_caller(receiver.port) as (association, connection):
        connection.sendall(sent)
        wait_for_abort(association)


def test_receive_aborts_an_instance_without_end_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    clip, landing = write(tmp_path / "clip", speckle_frames(2)), tmp_path / "landing"
    with receiving(landing, instance_bytes=2**20) as receiver:
        with raw_caller(receiver.port) as (association, connection):
            connection.sendall(pdu(association, 3, command("1.2.3")))
            fragment = pdu(association, 0, bytes(2**16))
            with suppress(OSError):
                while association.is_established:
                    connection.sendall(fragment)
        assert store(receiver, clip) == 0
    assert [sent_dataset(path) for path in landing.iterdir()] == [sent_dataset(clip)]
    assert closed(receiver) == 1


def test_receive_aborts_an_instance_that_trickles(tmp_path: Path) -> None:
    with (
        receiving(tmp_path / "l", instance_seconds=0.3) as receiver,
        raw_caller(receiver.port) as (association, connection),
    ):
        connection.sendall(pdu(association, 3, command("1.2.3")))
        until = time.monotonic() + 120
        while association.is_established and time.monotonic() < until:
            try:
                connection.sendall(pdu(association, 0, b"\0"))
            except OSError:
                break
            time.sleep(0.05)
        wait_for_abort(association)
    assert closed(receiver) == 1
    assert list((tmp_path / "l").iterdir()) == []


@pytest.mark.parametrize(
    "fragments",
    [
        [(3, command("1.2.3", kind=0x20))],  # C-FIND
        [(3, b"\xff" * 20)],
        [(1, bytes(2**15))] * 3,
        [(2, b"data without a command")],
        [(3, command("1.2.3")), (3, command("1.2.3"))],
        [(3, command("1.2.3", kind=0x30, data_set=0x101))] * 200,  # C-ECHO, before the answer to the first
    ],
    ids=["find", "unreadable", "long", "data", "twice", "many"],
)
def test_receive_aborts_what_is_neither_store_nor_echo(tmp_path: Path, fragments: list[tuple[int, bytes]]) -> None:
    with receiving(tmp_path / "l") as receiver, raw_caller(receiver.port) as (association, connection):
        connection.sendall(b"".join(pdu(association, *fragment) for fragment in fragments))
        wait_for_abort(association)
    assert closed(receiver) == 1
    assert list((tmp_path / "l").iterdir()) == []


@contextmanager
def started(landing: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the verb in a process of its own, and end it."""
    process, port = start(landing)
    with process:
        try:
            yield process, port
        finally:
            process.kill()


def wait_for_file(landing: Path) -> None:
    """Wait until an instance is in a folder."""
    until = time.monotonic() + 120
    while not list(landing.glob("*.dcm")) and time.monotonic() < until:
        time.sleep(0.02)
    assert list(landing.glob("*.dcm"))


def peak_memory(process: subprocess.Popen[str]) -> int:
    """Return the highest memory of a process so far, bytes."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


# The caller's library does not expect that its connection is written to beside it, and may end with an error.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_receive_holds_no_large_instance_in_memory_and_prints_no_uid(tmp_path: Path) -> None:
    uid = "1.2.840.DOE^JANE.00.1"
    with started(tmp_path / "landing") as (process, port), raw_caller(port) as (association, connection):
        before = peak_memory(process)
        connection.sendall(pdu(association, 3, command(uid)))
        fragment, count = pdu(association, 0, bytes(130_000)), 1000
        for _ in range(count):
            connection.sendall(fragment)
        connection.sendall(pdu(association, 2, b"\0\0"))
        wait_for_file(tmp_path / "landing")
        grown = peak_memory(process) - before
        association.abort()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (out, err) == ("1 instances stored, 0 sent again, 0 not stored; 0 callers refused\n", "")
    (path,) = (tmp_path / "landing").glob("*.dcm")
    assert uid.encode() in path.read_bytes()[:1000]
    assert path.stat().st_size > count * 130_000 > 4 * grown
