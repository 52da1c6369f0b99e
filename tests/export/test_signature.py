"""A signed folder opens with its own key, and with no other; a hash that was sealed again does not help a forger."""

from __future__ import annotations

import shutil
import stat
import sys
from pathlib import Path

import pytest

from heart2heart.errors import ConfigError, MissingInputError, ModelError
from heart2heart.export.model_folder import load_model_folder, write_model_folder
from heart2heart.export.signature import sign_manifest, verify_signature
from heart2heart.schema.model_folder import ManifestSignature, ModelManifest
from heart2heart.training.run import Run
from heart2heart.utils import read_json
from tests.export.test_model_folder import reseal

MANIFEST = ModelManifest(
    name="echo", version="1.0", classes=("A", "B"), weights_sha256="a" * 64, split_sha256="b" * 64, files={}
).sealed()


def test_sign_manifest_makes_a_key_that_its_owner_alone_reads(tmp_path: Path) -> None:
    key = tmp_path / "signing.key"
    signature = sign_manifest(MANIFEST, key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert sign_manifest(MANIFEST, key) == signature  # Ed25519 is deterministic
    verify_signature(MANIFEST, signature, where=tmp_path, trusted_key=signature.public_key)
    other = MANIFEST.model_copy(update={"name": "other"}).sealed()
    with pytest.raises(ModelError, match="not that of its manifest"):
        verify_signature(other, signature, where=tmp_path)
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read"):
        sign_manifest(MANIFEST, key)
    (tmp_path / "no.key").write_text("none")
    (tmp_path / "no.key").chmod(0o600)
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        sign_manifest(MANIFEST, tmp_path / "no.key")


def test_sign_manifest_gives_the_test_vector_of_rfc_8032(tmp_path: Path) -> None:
    secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    (tmp_path / "key").write_text(secret)
    (tmp_path / "key").chmod(0o600)
    public = sign_manifest(MANIFEST, tmp_path / "key").public_key
    assert public == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def test_verify_signature_requires_the_trusted_key(run: Run, folder: Path, tmp_path: Path) -> None:
    signed = write_model_folder(run, tmp_path / "echo", signing_key=tmp_path / "signing.key")
    public = ManifestSignature.parse(read_json(signed / "manifest.sig.json", what="signature"), where="test").public_key
    assert load_model_folder(signed, trusted_key=public).name == "echo"
    assert load_model_folder(signed).name == "echo"
    for path, key in ((signed, "0" * 64), (folder, public)):
        with pytest.raises(ModelError, match="model:unsigned"):
            load_model_folder(path, trusted_key=key)
    shutil.copytree(signed, tmp_path / "forged")
    (tmp_path / "forged" / "CARD.md").write_text("better")
    reseal(tmp_path / "forged")
    with pytest.raises(ModelError, match="model:changed"):
        load_model_folder(tmp_path / "forged")


def test_sign_manifest_names_a_missing_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    with pytest.raises(MissingInputError, match=r"heart2heart\[signing\]"):
        sign_manifest(MANIFEST, tmp_path / "key")
