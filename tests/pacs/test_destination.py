"""Result files to archives: a real Orthanc by STOW-RS and C-STORE, and archives that are down, full or refuse."""

from __future__ import annotations

import http.server
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from heart2heart.errors import ConfigError, MissingInputError, RemoteError
from heart2heart.pacs.destination import (
    DestinationSettings,
    SendOutcome,
    UnreachableError,
    parse_dicom_address,
)
from heart2heart.pacs.open_destination import open_destination
from heart2heart.utils import write_text
from tests.dicom.build import speckle_frames, write
from tests.pacs.conftest import PASSWORD, USER, Orthanc, free_port
from tests.pacs.web import serving


def clip(folder: Path, number: int) -> Path:
    """Write a clip of a patient with a planted name."""
    tags = {"PatientName": "Doehringer^Anna", "PatientID": "PLANTED-4711", "StudyInstanceUID": "1.2.96.1"}
    return write(folder / f"{number}.dcm", speckle_frames(2, seed=number), SOPInstanceUID=f"1.2.96.2.{number}", **tags)


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    path = tmp_path / "credentials.yaml"
    write_text(path, f"user: {USER}\npassword: {PASSWORD}\n", mode=0o600)
    return path


def instances(orthanc: Orthanc) -> list[str]:
    """Return the SOP Instance UIDs of the planted study."""
    listed = json.loads(orthanc.ask("/dicom-web/studies/1.2.96.1/instances"))
    return sorted(item["00080018"]["Value"][0] for item in listed)


@pytest.mark.parametrize("way", ["stow", "c_store"])
def test_destination_sends_to_orthanc_once(
    way: str, orthanc: Orthanc, credentials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = {"stow": 1, "c_store": 2}[way]
    path = clip(tmp_path, number)
    address = {"stow": orthanc.url, "c_store": f"dicom://ORTHANC@127.0.0.1:{orthanc.dicom_port}"}[way]
    settings = DestinationSettings(address=address, credentials=credentials)
    with open_destination(settings) as destination:
        assert destination.send(path) == SendOutcome.STORED
        assert destination.send(path) == SendOutcome.PRESENT
    try:
        assert f"1.2.96.2.{number}" in instances(orthanc)
        ids = json.loads(orthanc.ask("/tools/lookup", f"1.2.96.2.{number}".encode()))
        stored = orthanc.ask(f"{ids[0]['Path']}/file")
        (tmp_path / "back.dcm").write_bytes(stored)
        assert dcmread(tmp_path / "back.dcm") == dcmread(path)
    finally:
        orthanc.ask(ids[0]["Path"], method="DELETE")


def test_destination_names_wrong_credentials(orthanc: Orthanc, tmp_path: Path) -> None:
    settings = DestinationSettings(address=orthanc.url, first_wait=0)
    with open_destination(settings) as destination, pytest.raises(RemoteError, match="HTTP 401"):
        destination.send(clip(tmp_path, 3))


@pytest.mark.parametrize("scheme", ["http", "dicom"])
def test_destination_that_is_down_is_tried_with_longer_waits(scheme: str, tmp_path: Path) -> None:
    at = f"127.0.0.1:{free_port()}"
    address = {"http": f"http://{at}/dicom-web", "dicom": f"dicom://PACS@{at}"}[scheme]
    waits: list[float] = []
    settings = DestinationSettings(address=address, attempts=5, first_wait=100, timeout=2)
    with (
        open_destination(settings, sleep=waits.append) as destination,
        pytest.raises(UnreachableError, match="does not answer") as raised,
    ):
        destination.send(clip(tmp_path, 4))
    assert waits == [100, 200, 300, 300]
    text = str(raised.value)
    assert "Nothing is lost" in text
    assert not any(word in text.lower() for word in ("doehringer", "planted-4711", "1.2.96"))


def stow_server(answers: list[tuple[int, object]], bodies: list[bytes]) -> type[http.server.BaseHTTPRequestHandler]:
    """Return a handler that finds nothing by QIDO-RS, and answers each STOW-RS request in turn."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(204, b"")

        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            status, content = answers.pop(0)
            self._reply(status, json.dumps(content).encode())

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def failed(reason: int) -> dict[str, object]:
    """Return the answer of a STOW-RS service that did not store the instance."""
    return {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [reason]}}]}}


def test_destination_by_stow_goes_on_after_a_busy_archive_with_the_whole_body(tmp_path: Path) -> None:
    path, bodies = clip(tmp_path, 5), list[bytes]()
    answers: list[tuple[int, object]] = [(503, {}), (409, failed(0xA700)), (200, {})]
    with serving(stow_server(answers, bodies)) as url:
        settings = DestinationSettings(address=url, first_wait=0)
        with open_destination(settings) as destination:
            assert destination.send(path) == SendOutcome.STORED
    assert len(bodies) == 3
    for body in bodies:
        head, _, rest = body.partition(b"\r\n\r\n")
        assert head.endswith(b"Content-Type: application/dicom")
        assert rest.startswith(path.read_bytes())


def test_destination_by_stow_tells_a_duplicate_from_a_refusal(tmp_path: Path) -> None:
    answers: list[tuple[int, object]] = [(409, failed(0x0111)), (409, failed(0x0122)), (400, {})]
    path = clip(tmp_path, 6)
    with (
        serving(stow_server(answers, [])) as url,
        open_destination(DestinationSettings(address=url, first_wait=0)) as destination,
    ):
        assert destination.send(path) == SendOutcome.PRESENT
        with pytest.raises(RemoteError, match=r"refuses the object \(HTTP 409, reason 0122H\)"):
            destination.send(path)
        with pytest.raises(RemoteError, match=r"refuses the object \(HTTP 400\)"):
            destination.send(path)


@pytest.fixture
def scp() -> Iterator[tuple[int, list[int]]]:
    """Run a storage SCP that answers with one status after the other, for multi-frame ultrasound only."""
    from pynetdicom import AE, evt

    statuses: list[int] = []
    entity = AE("PACS")
    entity.require_called_aet = True
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.1.2.1")
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _: statuses.pop(0))]
    )
    assert server is not None
    yield int(server.server_address[1]), statuses
    server.shutdown()


def test_destination_by_c_store_tells_busy_duplicate_and_refusal(scp: tuple[int, list[int]], tmp_path: Path) -> None:
    port, statuses = scp
    statuses += [0xA700, 0xB000, 0x0111, 0xC000]
    path = clip(tmp_path, 7)
    with open_destination(DestinationSettings(address=f"dicom://PACS@127.0.0.1:{port}", first_wait=0)) as destination:
        assert destination.send(path) == SendOutcome.STORED  # after the one without room
        assert destination.send(path) == SendOutcome.PRESENT
        with pytest.raises(RemoteError, match="status C000H"):
            destination.send(path)
        still = write(tmp_path / "still.dcm", speckle_frames(1))
        with pytest.raises(RemoteError, match="no objects of this kind"):
            destination.send(still)
    other = DestinationSettings(address=f"dicom://OTHER@127.0.0.1:{port}", first_wait=0)
    with open_destination(other) as destination, pytest.raises(RemoteError, match="refuses the association"):
        destination.send(path)


@pytest.mark.parametrize(
    ("responses", "outcome", "stores"),
    [
        ([(0xFF00, "1.2.96.2.8"), (0x0000, None)], SendOutcome.PRESENT, 0),
        ([(0x0000, None)], SendOutcome.STORED, 1),
        ([(0xFF00, "1.2.96.2.99"), (0x0000, None)], SendOutcome.STORED, 1),  # an archive that leaves out a key
        ([(0xFF00, "1.2.96.2.99")] * 300 + [(0x0000, None)], SendOutcome.STORED, 1),
        ([(0xA700, None)], SendOutcome.STORED, 1),
    ],
    ids=["held", "not_held", "another", "everything", "failed"],
)
def test_destination_by_c_store_searches_before_it_stores(
    responses: list[tuple[int, str | None]], outcome: SendOutcome, stores: int, tmp_path: Path
) -> None:
    from pynetdicom import AE, evt

    stored: list[str] = []
    queries: list[Dataset] = []

    def search(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        queries.append(event.identifier)
        for status, uid in responses:
            match = None
            if uid is not None:
                match = Dataset()
                match.QueryRetrieveLevel, match.SOPInstanceUID = "IMAGE", uid
            yield status, match

    def store(event: Any) -> int:
        stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    entity = AE("PACS")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.1.2.1")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
    handlers: list[Any] = [(evt.EVT_C_FIND, search), (evt.EVT_C_STORE, store)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    settings = DestinationSettings(address=f"dicom://PACS@127.0.0.1:{server.server_address[1]}", first_wait=0)
    try:
        with open_destination(settings) as destination:
            assert destination.send(clip(tmp_path, 8)) == outcome
    finally:
        server.shutdown()
    assert stored == ["1.2.96.2.8"] * stores
    (query,) = queries
    assert query.QueryRetrieveLevel == "IMAGE"
    assert query.SOPInstanceUID == "1.2.96.2.8"
    assert query.StudyInstanceUID == "1.2.96.1"
    assert query.SeriesInstanceUID


def test_open_destination_refuses_plain_text_to_another_machine() -> None:
    for address in ("dicom://PACS@pacs.example:104", "http://pacs.example/dicom-web"):
        with pytest.raises(ConfigError, match="unencrypted"), open_destination(DestinationSettings(address=address)):
            pass
        allowed = DestinationSettings(address=address, allow_plaintext=True)
        with open_destination(allowed) as destination:
            assert destination.settings is allowed
    missing = DestinationSettings(address="dicoms://PACS@pacs.example:104", ca=Path("nowhere.pem"))
    with pytest.raises(ConfigError, match="cannot be used"), open_destination(missing):
        pass


@pytest.mark.parametrize(
    "address",
    ["dicom://host:104", "dicom://PACS@host", "dicom://PACS:secret@host:104", "dicom://PACS@host:104/path",
     "dicom://PACS@host:99999", "dicom://A_TITLE_THAT_IS_TOO_LONG@host:104"],
)  # fmt: skip
def test_parse_dicom_address_refuses_other_forms(address: str) -> None:
    with pytest.raises(ConfigError, match="dicom://AETITLE@host:port"):
        parse_dicom_address(address)


def test_destination_settings_refuse_another_scheme_and_a_bad_title() -> None:
    for content in ({"address": "ftp://host"}, {"address": "http://127.0.0.1", "calling_aet": "A\\B"}):
        with pytest.raises(ConfigError):
            DestinationSettings.parse(content, where="test")


def test_destination_refuses_a_file_where_it_is_no_dicom_file(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no DICOM")
    with open_destination(DestinationSettings(address="dicom://PACS@127.0.0.1:1")) as destination:
        for path in (tmp_path / "note.txt", tmp_path / "nothing"):
            with pytest.raises(MissingInputError, match="cannot be read"):
                destination.send(path)
