"""Upload, STOW-RS, answers, health, metrics, the page, the token and the limits, over HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.service.running import SPOOL, Service
from heart2heart.service.settings import ServiceSettings, WebSettings
from heart2heart.service.web import is_authorized, read_token
from heart2heart.utils import write_text
from tests.dicom.test_reader import bomb
from tests.service.support import PATIENT_ID, FixedModel, make_clip, open_service, settings_of

TOKEN = "0123456789abcdef-token"
UID = "1.2.77.1.1."


class Client:
    """Speaks to a service."""

    def __init__(self, service: Service, port: int) -> None:
        self.service, self.port = service, port

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """Return status, content and headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}"} | names)
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        is_json = "json" in response.headers.get("content-type", "")
        return response.status, json.loads(raw) if is_json else raw.decode(), dict(response.headers)


@contextmanager
def serving(settings: ServiceSettings, *models: FixedModel) -> Iterator[Client]:
    """Run a service in threads of this process."""
    with open_service(settings, models or (FixedModel(),)) as service:
        ready, addresses = threading.Event(), list[str]()

        def on_ready(*, web: str, dicom: str | None) -> None:
            addresses.append(web)
            ready.set()

        thread = threading.Thread(target=service.run, args=(on_ready,))
        thread.start()
        try:
            assert ready.wait(60)
            yield Client(service, int(addresses[0].rstrip("/").rpartition(":")[2]))
        finally:
            service.stop()
            thread.join(60)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("web")
    write_text(folder / "token", TOKEN, mode=0o600)
    models = [{"name": "one", "path": "run"}, {"name": "two", "path": "run2", "silent": True}]
    web = {"port": 0, "token": folder / "token", "request_instances": 3}
    limits = {"free_bytes": 0, "instance_bytes": 200_000}
    settings = settings_of(folder / "service", models=models, web=web, limits=limits)
    with serving(settings, FixedModel("one", 1), FixedModel("two", 0)) as client:
        yield client


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("clips")
    return [make_clip(folder, index).read_bytes() for index in range(6)]


def multipart(*contents: bytes, end: bytes = b"--bound--\r\n") -> dict[str, Any]:
    body = b"".join(b"--bound\r\nContent-Type: application/dicom\r\n\r\n" + each + b"\r\n" for each in contents)
    return {"body": body + end, "Content_Type": 'multipart/related; type="application/dicom"; boundary=bound'}


def becomes(condition: Callable[[], bool]) -> bool:
    """Return whether a condition holds soon; the service works in threads of its own."""
    until = time.monotonic() + 30
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def is_spool_empty(client: Client) -> bool:
    return not any((client.service.settings.folder / SPOOL).iterdir())


def test_build_service_app_answers_an_upload_and_knows_the_clip_again(client: Client, clips: list[bytes]) -> None:
    status, content, headers = client.ask("POST", "/clips?wait=30", clips[0])
    assert (status, content["answer"]["sentence"], content["state"]) == (200, "A4C", "done")
    assert client.ask("GET", headers["location"])[1] == client.ask("GET", f"/clips/{UID}0")[1] == content
    assert client.ask("POST", "/clips?wait=30", clips[0])[1] == content
    listed = client.ask("GET", f"/studies/{content['study']}")[1]["clips"]
    assert [each["clip"] for each in listed] == [content["clip"]]
    assert client.ask("GET", "/clips/1.2.3")[0] == client.ask("GET", "/studies/none")[0] == 404


def test_build_service_app_keeps_every_instance_and_names_what_is_no_dicom(client: Client, clips: list[bytes]) -> None:
    status, content, _ = client.ask("POST", "/dicom-web/studies", **multipart(clips[1], clips[2]))
    assert status == 200
    stored = content["00081199"]["Value"]
    assert [item["00081155"]["Value"] for item in stored] == [[f"{UID}1"], [f"{UID}2"]]
    assert client.ask("POST", "/clips?wait=30", clips[2])[1]["answer"]["sentence"] == "A4C"
    status, content, _ = client.ask("POST", "/dicom-web/studies", **multipart(clips[1], b"no dicom"))
    assert (status, len(content["00081198"]["Value"])) == (202, 1)
    assert client.ask("POST", "/dicom-web/studies", **multipart(b"no dicom"))[0] == 409


@pytest.mark.parametrize(
    ("path", "request_parts", "status"),
    [
        ("/clips", {"body": b"no dicom"}, 400),
        ("/clips", {"body": b""}, 400),
        ("/clips", {"body": bytes(200_001)}, 413),
        ("/dicom-web/studies", {"body": b"x", "Content_Type": "application/dicom"}, 415),
        ("/dicom-web/studies", multipart(), 400),
        ("/dicom-web/studies", multipart(b"part", end=b""), 400),
        ("/dicom-web/studies", multipart(*[b"part"] * 4), 413),
        ("/dicom-web/studies", multipart(bytes(200_001)), 413),
        ("/clips", {"body": b"no dicom", "Host": "evil.example"}, 421),
        ("/clips", {"body": b"no dicom", "Origin": "https://evil.example"}, 403),
        ("/clips", {"body": b"no dicom", "Authorization": "Bearer wrong"}, 401),
    ],
    ids=[
        "not_dicom", "empty", "too_large", "type", "no_instance", "cut", "too_many", "instance_too_large", "host",
        "origin", "token",
    ],
)  # fmt: skip
def test_build_service_app_refuses_bad_requests_and_keep_nothing(
    path: str, request_parts: dict[str, Any], status: int, client: Client
) -> None:
    before = client.service.queue.states()
    assert client.ask("POST", path, **request_parts)[0] == status
    assert client.service.queue.states() == before
    assert becomes(lambda: is_spool_empty(client))


def test_build_service_app_inflates_no_more_than_the_limit_of_a_bomb(client: Client, tmp_path: Path) -> None:
    content = bomb(tmp_path / "bomb.dcm", gib=0.18).read_bytes()
    tracemalloc.start()
    status, body, _ = client.ask("POST", "/clips?wait=30", content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (status, body["answer"]["code"]) == (200, "failed:bounds")
    assert len(content) < peak < 150 * 2**20


def test_build_service_app_keeps_nothing_of_an_upload_that_is_cut_short(client: Client, clips: list[bytes]) -> None:
    truncated = client.service.queue.counts().get("uploads_truncated", 0)
    head = f"POST /clips HTTP/1.1\r\nHost: localhost:{client.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
    with socket.create_connection(("127.0.0.1", client.port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(clips[3])}\r\n\r\n".encode() + clips[3][:5000])
    assert becomes(lambda: client.service.queue.counts().get("uploads_truncated", 0) > truncated)
    assert client.ask("GET", f"/clips/{UID}3")[0] == 404
    assert becomes(lambda: is_spool_empty(client))


def test_page_metrics_and_health_show_no_identity(client: Client, clips: list[bytes]) -> None:
    client.ask("POST", "/clips?wait=30", clips[4])
    page, metrics = client.ask("GET", "/")[1], client.ask("GET", "/metrics")[1]
    assert "A4C" in page
    assert "two" in page
    assert 'heart2heart_agreement{model="two"} 0' in metrics
    assert "heart2heart_answer_seconds_count" in metrics
    assert all(secret not in page + metrics for secret in ("Doehringer", PATIENT_ID, "1.2.77"))
    for path, content in (("/health", "up"), ("/ready", "ready")):
        assert client.ask("GET", path, Authorization="")[:2] == (200, {"status": content})
    assert client.ask("GET", "/metrics", Authorization="")[0] == 401


def test_build_service_app_refuses_more_clips_than_the_limits_allow(tmp_path: Path, clips: list[bytes]) -> None:
    settings = settings_of(tmp_path / "service", limits={"free_bytes": 2**62})
    with serving(settings) as client:
        assert client.ask("GET", "/ready")[0] == 503
        status, content, _ = client.ask("POST", "/clips", clips[5])
        assert (status, "try again later" in content["error"]) == (503, True)
        assert client.service.queue.counts() == {"clips_refused": 1}


@pytest.mark.parametrize(
    ("web", "message"),
    [
        ({"bind": "0.0.0.0"}, "need a token"),
        ({"bind": "0.0.0.0", "token": "t"}, "unencrypted"),
        ({"bind": "0.0.0.0", "token": "t", "allow_http": True}, "host name"),
        ({"certificate": "c"}, "private key"),
    ],
    ids=["token", "tls", "name", "key"],
)
def test_web_settings_are_loopback_unless_safe(web: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WebSettings.parse(web, where="test")


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([{"name": "a", "path": "x"}, {"name": "a", "path": "y", "silent": True}], "two models have the name a"),
        ([{"name": "a", "path": "x"}, {"name": "b", "path": "y"}], "one model must be active"),
        ([{"name": "a", "path": "x", "silent": True}], "one model must be active"),
        ([{"name": "../a", "path": "x"}], "pattern"),
    ],
    ids=["twice", "two_active", "none_active", "name"],
)
def test_service_settings_refuse_models_that_cannot_be_told_apart(
    models: list[Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        settings_of(tmp_path, models=models)


def test_read_token_needs_a_private_file_with_a_long_token(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with pytest.raises(MissingInputError):
        read_token(path)
    write_text(path, "short", mode=0o600)
    with pytest.raises(ConfigError, match="at least 16"):
        read_token(path)
    write_text(path, TOKEN, mode=0o600)
    assert read_token(path) == TOKEN
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read"):
        read_token(path)


def test_is_authorized_takes_bearer_and_basic() -> None:
    assert is_authorized("Basic " + "dTowMTIzNDU2Nzg5YWJjZGVmLXRva2Vu", TOKEN)
    assert not any(is_authorized(each, TOKEN) for each in ("", "Basic !", "Basic dTp4", "Digest x", f"Bearer {TOKEN}x"))
