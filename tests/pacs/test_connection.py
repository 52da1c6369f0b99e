"""Secrets come from a closed file or the environment, and never show."""

from pathlib import Path

import pytest
from requests import Request

from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.pacs.connection import Credentials
from heart2heart.pacs.dicomweb import DicomWebClient, PacsQuery


def header(credentials: Credentials) -> str | bytes | None:
    """Return what is sent."""
    return Request("GET", "https://pacs.example", auth=credentials.auth()).prepare().headers.get("Authorization")


def test_find_reads_user_password_and_token(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("user: u\npassword: pé\n")
    path.chmod(0o600)
    known = Credentials.find(path)
    assert header(known) == "Basic dTpww6k="
    assert "pé" not in repr(known)
    token = Credentials.find(None, {"HEART2HEART_DICOMWEB_TOKEN": "abc"})
    assert header(token) == "Bearer abc"
    assert "abc" not in repr(token) + str(token.model_dump())
    assert header(Credentials.find(None, {})) is None


def test_find_refuses_a_file_that_others_may_read(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("token: secret-word\n")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        Credentials.find(path)
    with pytest.raises(MissingInputError):
        Credentials.find(tmp_path / "none")


@pytest.mark.parametrize(
    "text", ["user: secret-word", "password: secret-word", "token: {a: secret-word}", "[secret-word]"]
)
def test_find_reports_mistakes_without_the_secret(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        Credentials.find(path)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["https://u:secret-word@pacs.example/x", "ftp://pacs.example", "pacs.example", "https://h:port/", "https://h/?a"],
)
def test_dicom_web_client_refuses_impossible_addresses(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DicomWebClient(url)
    assert "secret-word" not in str(caught.value)


def test_dicom_web_client_needs_consent_to_plain_http_beyond_this_machine() -> None:
    with pytest.raises(ConfigError, match="unencrypted"):
        DicomWebClient("http://pacs.example/dicom-web")
    DicomWebClient("http://pacs.example/dicom-web", allow_http=True).close()
    with pytest.raises(ConfigError, match="certificate"):
        DicomWebClient("https://pacs.example", authority=Path("nowhere"))


@pytest.mark.parametrize("wrong", [{"modality": "us"}, {"dates": "2024"}, {"match": {"PatientNumber": "1"}}])
def test_pacs_query_refuses_impossible_values(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        PacsQuery.parse(wrong, where="test")
