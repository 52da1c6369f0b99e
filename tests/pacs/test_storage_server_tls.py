"""Callers of the receiver with and without a certificate."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage
from pynetdicom import AE

from heart2heart.errors import ConfigError
from heart2heart.pacs.spool import Spool
from heart2heart.pacs.storage_scp import ReceiveSettings, receive
from tests.dicom.build import speckle_frames, write
from tests.pacs.certificates import make_authority, make_certificate
from tests.pacs.conftest import needs
from tests.pacs.test_storage_scp import Receiver, receiving, sent_dataset

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def test_receive_with_tls_takes_callers_with_a_certificate_only(tmp_path: Path) -> None:
    storescu, clip = needs("storescu"), write(tmp_path / "clip", speckle_frames(2))
    trusted, foreign = make_authority(tmp_path, "ours"), make_authority(tmp_path, "foreign")
    server, sender = make_certificate(tmp_path, "server", trusted), make_certificate(tmp_path, "sender", trusted)
    stranger = make_certificate(tmp_path, "stranger", foreign)
    settings = {"tls_cert": server.path, "tls_key": server.key, "tls_ca": trusted.path}
    with receiving(tmp_path / "landing", **settings) as receiver:
        line = (
            storescu,
            "-xe",
            "-aec",
            "HEART2HEART",
            "+cf",
            str(trusted.path),
            "127.0.0.1",
            str(receiver.port),
            str(clip),
        )
        statuses = [
            subprocess.run((line[0], *options, *line[1:]), check=False, timeout=30, capture_output=True).returncode
            for options in (
                ("+tls", str(sender.key), str(sender.path)), ("+tls", str(stranger.key), str(stranger.path)), ("+tla",),
            )
        ]  # fmt: skip
        plain = subprocess.run((*line[:4], *line[6:]), check=False, timeout=30, capture_output=True)
        context = ssl.create_default_context(cafile=trusted.path)
        context.check_hostname = False
        context.load_cert_chain(sender.path, sender.key)
        entity = AE("PYNETDICOM")
        entity.add_requested_context(UltrasoundMultiFrameImageStorage, ExplicitVRLittleEndian)
        association = entity.associate(
            "127.0.0.1", receiver.port, ae_title="HEART2HEART", tls_args=(context, "127.0.0.1")
        )
        assert association.send_c_store(clip).Status == 0
        association.release()
    assert statuses[0] == 0
    assert statuses[1] != 0
    assert statuses[2] != 0
    assert plain.returncode != 0
    assert receiver.done is not None
    assert (receiver.done.stored, receiver.done.again, receiver.done.refused) == (1, 1, 3)
    assert [sent_dataset(path) for path in (tmp_path / "landing").iterdir()] == [sent_dataset(clip)]


def test_receive_beyond_loopback_needs_tls_or_consent(tmp_path: Path) -> None:
    with Spool.open(tmp_path / "l", tmp_path / "k") as landing:
        settings = ReceiveSettings(bind="0.0.0.0", port=0, allow=("PACS",))
        with pytest.raises(ConfigError, match="unencrypted") as error:
            receive(landing, settings, stop=Receiver(landing, settings).stop, ready=print)
        assert "--allow-plaintext" in str(error.value)
        receiver = Receiver(landing, settings.model_copy(update={"allow_plaintext": True}))
        receiver.stop.set()
        done = receive(
            landing, settings.model_copy(update={"allow_plaintext": True}), stop=receiver.stop, ready=lambda *_: None
        )
    assert done.stored == 0


def test_receive_refuses_files_that_are_no_certificates(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    content = {"tls_cert": tmp_path / "no.pem", "tls_key": tmp_path / "no.pem"}
    with pytest.raises(ConfigError, match="together"):
        ReceiveSettings.parse(content, where="test")
    settings = ReceiveSettings.parse(content | {"tls_ca": tmp_path / "no.pem"}, where="test")
    with Spool.open(tmp_path / "l", tmp_path / "k") as landing, pytest.raises(ConfigError, match="cannot be used"):
        receive(landing, settings, stop=Receiver(landing, settings).stop, ready=print)
