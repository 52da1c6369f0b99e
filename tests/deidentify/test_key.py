"""The key file: made once, kept close."""

from pathlib import Path

import pytest

from heart2heart.deidentify.key import Key
from heart2heart.errors import ConfigError, MissingInputError


def test_made_on_first_use_and_read_after(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    made = Key.open(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(path.read_text())) == 32
    assert Key.open(path) == made == Key.load(path)
    assert Key.open(tmp_path / "other.key") != made
    assert made.secret.hex() not in repr(made)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "site.key"
    Key.open(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        Key.open(path)


def test_a_key_inside_the_store_is_refused_and_not_made(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for path in (store / "a.key", store / "deep" / "a.key", tmp_path / "x" / ".." / "store" / "a.key"):
        with pytest.raises(ConfigError, match="inside the store"):
            Key.open(path, outside=store)
    assert not store.exists()
    assert Key.open(tmp_path / "store.key", outside=store)


@pytest.mark.parametrize("content", [b"", b"abc", b"zz" * 32, b"00" * 31, b"00" * 40, b"\xff" * 64])
def test_what_is_no_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError):
        Key.load(path)


def test_a_key_that_must_exist(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        Key.load(tmp_path / "a.key")


def test_parts_of_a_digest_are_kept_apart() -> None:
    key = Key(bytes(32))
    assert key.digest("ab", "c") != key.digest("a", "bc")
    assert key.digest("ab", "c") == key.digest("ab", "c")
