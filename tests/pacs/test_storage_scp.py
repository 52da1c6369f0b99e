"""C-STORE by dcmtk's storescu and by pynetdicom: only whole files on the disk are acknowledged."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.association import Association

from heart2heart.errors import ConfigError, ExistsError
from heart2heart.pacs.spool import Spool
from heart2heart.pacs.storage_scp import ReceiveSettings, ReceiveSummary, receive
from tests.dicom.build import speckle_frames, write
from tests.pacs.conftest import Orthanc, make_clips, needs

# pynetdicom leaves the sockets of callers that hung up first to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
CLI = (sys.executable, "-c", "from heart2heart.cli import main; main()", "receive")


class Receiver:
    """A receiver in a thread of this process."""

    def __init__(self, folder: Spool, settings: ReceiveSettings) -> None:
        self.stop, self.listening, self.port = threading.Event(), threading.Event(), 0
        self.done: ReceiveSummary | None = None
        self.thread = threading.Thread(target=self._serve, args=(folder, settings))

    def _serve(self, folder: Spool, settings: ReceiveSettings) -> None:
        self.done = receive(folder, settings, stop=self.stop, ready=self._ready)

    def _ready(self, address: str, port: int) -> None:
        assert address == "127.0.0.1"
        self.port = port
        self.listening.set()


@contextmanager
def receiving(folder: Path, **settings: object) -> Iterator[Receiver]:
    """Run a receiver over a landing folder, with some settings, until the block ends."""
    content = {"port": 0, "grace": 2.0} | settings
    with Spool.open(folder, folder.with_suffix(".key")) as landing:
        receiver = Receiver(landing, ReceiveSettings.parse(content, where="test"))
        receiver.thread.start()
        try:
            assert receiver.listening.wait(20)
            yield receiver
        finally:
            receiver.stop.set()
            receiver.thread.join(20)
            gc.collect()  # while the warnings of `pytestmark` are off


@contextmanager
def calling(port: int, files: list[Path], title: str = "SENDER", called: str = "HEART2HEART") -> Iterator[Association]:
    """Open an association for the kinds of some files."""
    entity = AE(title)
    for path in files:
        header = dcmread(path, stop_before_pixels=True)
        entity.add_requested_context(header.SOPClassUID, header.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", port, ae_title=called)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def sent_dataset(path: Path) -> bytes:
    """Return what follows the file meta: what must arrive unchanged."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[140:144], "little")
    return raw[144 + length :]


def test_receive_stores_what_storescu_sends_and_sends_again(tmp_path: Path) -> None:
    storescu, files, landing = needs("storescu"), make_clips(tmp_path / "clips"), tmp_path / "landing"
    native = [path for path in files if dcmread(path).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"]
    with receiving(landing, allow=("STORESCU",)) as receiver:
        line = (storescu, "-xe", "-aec", "HEART2HEART", "127.0.0.1", str(receiver.port), *map(str, native))
        subprocess.run(line, check=True, timeout=30)
        subprocess.run(line, check=True, timeout=30)
        refused = subprocess.run(
            (storescu, "-aet", "STRANGER", *line[2:]), check=False, timeout=30, capture_output=True
        )
        wrong = subprocess.run((storescu, "-aec", "OTHER", *line[4:]), check=False, timeout=30, capture_output=True)
    assert refused.returncode != 0
    assert wrong.returncode != 0
    assert receiver.done == ReceiveSummary(stored=2, again=2, failed=0, refused=2)
    assert sorted(map(sent_dataset, landing.iterdir())) == sorted(map(sent_dataset, native))
    assert not any("1.2.3" in path.name for path in landing.iterdir())


def test_receive_takes_every_syntax_of_orthanc(orthanc: Orthanc, tmp_path: Path) -> None:
    with receiving(tmp_path / "landing", allow=("ORTHANC",)) as receiver:
        modality = f'{{"AET": "HEART2HEART", "Host": "127.0.0.1", "Port": {receiver.port}}}'
        orthanc.ask("/modalities/h2h", modality.encode(), "PUT")
        orthanc.ask("/modalities/h2h/store", ",".join(_ids(orthanc)).join("[]").encode())
    assert receiver.done == ReceiveSummary(stored=6, again=0, failed=0, refused=0)
    assert sorted(map(sent_dataset, (tmp_path / "landing").iterdir())) == sorted(map(sent_dataset, orthanc.files))


def _ids(orthanc: Orthanc) -> list[str]:
    return [f'"{name}"' for name in json.loads(orthanc.ask("/instances"))]


def test_receive_names_other_bytes_under_the_same_uid_apart(tmp_path: Path) -> None:
    one = write(tmp_path / "one", speckle_frames(2, seed=1), SOPInstanceUID="1.2.3.4")
    two = write(tmp_path / "two", speckle_frames(2, seed=2), SOPInstanceUID="1.2.3.4")
    with receiving(tmp_path / "landing") as receiver, calling(receiver.port, [one]) as association:
        assert [association.send_c_store(path).Status for path in (one, two, one, two)] == [0, 0, 0, 0]
    assert receiver.done == ReceiveSummary(stored=2, again=2, failed=0, refused=0)
    assert {sent_dataset(path) for path in (tmp_path / "landing").iterdir()} == {sent_dataset(one), sent_dataset(two)}


def test_receive_acknowledges_nothing_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write(tmp_path / "clip", speckle_frames(2))

    def full(handle: int) -> None:
        raise OSError(28, "full")

    with receiving(tmp_path / "landing") as receiver, calling(receiver.port, [clip]) as association:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            assert association.send_c_store(clip).Status == 0xA700
            assert list((tmp_path / "landing").iterdir()) == []
        assert association.send_c_store(clip).Status == 0
    assert receiver.done == ReceiveSummary(stored=1, again=0, failed=1, refused=0)


def start(landing: Path, *options: str) -> tuple[subprocess.Popen[str], int]:
    """Start the verb in a process of its own; return it and its port."""
    process = subprocess.Popen(
        (*CLI, str(landing), "--port", "0", *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("HEART2HEART listens at 127.0.0.1:"), line + process.stderr.read()
    return process, int(line.rsplit(":", 1)[1])


def test_receive_killed_in_the_middle_has_every_acknowledged_file_whole(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    files = [write(tmp_path / f"c{n}", speckle_frames(20, seed=n), SOPInstanceUID=f"1.2.3.{n}") for n in range(12)]
    process, port = start(landing)
    acknowledged: list[Path] = []
    with process, calling(port, files) as association:
        killer = threading.Timer(0.2, process.kill)
        for path in files * 5:
            if len(acknowledged) == 3 and not killer.is_alive():
                killer.start()
            status = association.send_c_store(path) if association.is_established else None
            if status is None or "Status" not in status:
                break
            acknowledged.append(path)
            if len(acknowledged) > 3:
                killer.join(0.05)
        killer.join()
    assert process.returncode == -signal.SIGKILL
    whole = [sent_dataset(path) for path in landing.iterdir() if path.suffix == ".dcm"]
    sent = {sent_dataset(path) for path in files}
    assert len(acknowledged) >= 3
    assert {sent_dataset(path) for path in acknowledged} <= set(whole) <= sent
    with Spool.open(landing, tmp_path / "landing.key"):
        assert all(path.suffix == ".dcm" for path in landing.iterdir())


def test_receive_killed_while_storescu_sends_has_what_storescu_counts_as_sent(tmp_path: Path) -> None:
    storescu, landing = needs("storescu"), tmp_path / "landing"
    native = [write(tmp_path / f"c{n}", speckle_frames(40, seed=n), SOPInstanceUID=f"1.2.3.{n}") for n in range(30)]
    process, port = start(landing)
    line = (storescu, "-v", "-xe", "-aec", "HEART2HEART", "127.0.0.1", str(port), *map(str, native))
    with process, subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as sender:
        assert sender.stdout is not None
        sent = 0
        for response in sender.stdout:
            sent += "Received Store Response (Success)" in response
            if sent == 8 and process.poll() is None:
                process.kill()
        sender.wait(timeout=30)
    assert 8 <= sent < 30
    assert sender.returncode != 0
    whole = {sent_dataset(path) for path in landing.glob("*.dcm")}
    assert {sent_dataset(path) for path in native[:sent]} <= whole  # it sends in the order of its arguments
    assert len(whole) <= sent + 1


DYING = """
import os, sys
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.transport import AssociationSocket
clip = dcmread(sys.argv[2])
entity = AE("SENDER")
entity.add_requested_context(clip.SOPClassUID, clip.file_meta.TransferSyntaxUID)
association = entity.associate("127.0.0.1", int(sys.argv[1]), ae_title="HEART2HEART")
plain, sent = AssociationSocket.send, []
def send(self, data):
    sent.append(data)
    if len(sent) > 3:
        os._exit(9)
    plain(self, data)
AssociationSocket.send = send
association.send_c_store(clip)
"""


def test_receive_leaves_nothing_of_a_sender_that_dies(tmp_path: Path) -> None:
    clip = write(tmp_path / "clip", speckle_frames(60))
    process, port = start(tmp_path / "landing")
    with process:
        died = subprocess.run((sys.executable, "-c", DYING, str(port), str(clip)), check=False, timeout=30)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
    assert died.returncode == 9
    assert out == "0 instances stored, 0 sent again, 0 not stored; 0 callers refused\n"
    assert list((tmp_path / "landing").iterdir()) == []


def test_receive_ends_cleanly_by_sigterm(tmp_path: Path) -> None:
    clip = write(tmp_path / "clip", speckle_frames(2))
    process, port = start(tmp_path / "landing", "--allow", "SENDER")
    with process:
        with calling(port, [clip]) as association:
            assert association.send_c_store(clip).Status == 0
        with calling(port, [clip], title="STRANGER") as association:
            assert association.is_rejected
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out == "1 instances stored, 0 sent again, 0 not stored; 1 callers refused\n"
    assert err == ""


def test_receive_refuses_a_network_without_a_list_of_senders(tmp_path: Path) -> None:
    with Spool.open(tmp_path / "l", tmp_path / "k") as landing:
        for bind in ("0.0.0.0", "::", "192.0.2.1"):
            with pytest.raises(ConfigError, match="anybody on the network"):
                receive(landing, ReceiveSettings(bind=bind), stop=threading.Event(), ready=print)
    with receiving(tmp_path / "a") as first, Spool.open(tmp_path / "b", tmp_path / "k") as landing:
        with pytest.raises(ConfigError, match="EADDRINUSE"):
            receive(landing, ReceiveSettings(port=first.port), stop=threading.Event(), ready=print)
        with pytest.raises(ExistsError, match="another pull or receive"), receiving(tmp_path / "a"):
            pass


@pytest.mark.parametrize("wrong", [{"ae_title": ""}, {"allow": ("A" * 17,)}, {"bind": "pacs.example"}])
def test_receive_settings_refuse_impossible_values(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ReceiveSettings.parse(wrong, where="test")
