"""Signs the hash of a manifest by Ed25519 (RFC 8032), and verifies such a signature; needs the extra `signing`."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.errors import ConfigError, MissingInputError, ModelError
from heart2heart.schema.model_fault import ModelFault
from heart2heart.schema.model_folder import ManifestSignature, ModelManifest
from heart2heart.utils import write_exclusive

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_EXTRA = "Install the extra: pip install 'heart2heart[signing]'"


def sign_manifest(manifest: ModelManifest, key: Path) -> ManifestSignature:
    """Return the signature of a manifest.

    Args:
        manifest: The manifest, with its hash.
        key: File of the private key, 64 hexadecimal digits, mode 0600; made on first use.

    Raises:
        MissingInputError: the extra `signing` is not installed, or the file cannot be read.
        ConfigError: others may read the file, or it is no key.
    """
    private = _open_key(key)
    public = private.public_key().public_bytes_raw().hex()
    return ManifestSignature(public_key=public, signature=private.sign(manifest.sha256.encode()).hex())


def _open_key(path: Path) -> Ed25519PrivateKey:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ModuleNotFoundError as error:
        raise MissingInputError("signing needs cryptography", remedy=_EXTRA) from error
    if not path.exists():
        write_exclusive(path, os.urandom(32).hex() + "\n", mode=0o600)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError("others may read this signing key", where=path, remedy=f"Run: chmod 600 {path}")
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except OSError as error:
        raise MissingInputError(f"this signing key cannot be read ({error.strerror})", where=path) from error
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError("this is no signing key: 64 hexadecimal digits", where=path) from error


def verify_signature(
    manifest: ModelManifest, signature: ManifestSignature | None, *, where: Path, trusted_key: str | None = None
) -> None:
    """Refuse a manifest whose signature is not valid, or not by the trusted key.

    A signature without a trusted key shows that whoever made it held some key; only a trusted key shows who.

    Args:
        manifest: The manifest, whose hash was checked.
        signature: Its signature; None: it is not signed.
        where: Folder of the model.
        trusted_key: Public key, 64 hexadecimal digits; None: any key, or none.

    Raises:
        ModelError: `model:unsigned` or `model:changed`.
        MissingInputError: a trusted key is given, and the extra `signing` is not installed.
    """
    if trusted_key is not None and (signature is None or signature.public_key != trusted_key.strip().lower()):
        what = "this model is not signed" if signature is None else "this model is signed with another key"
        remedy = "Ask whoever exported it for a signed folder, or for the public key"
        raise ModelError(what, code=ModelFault.UNSIGNED, where=where, remedy=remedy)
    if signature is None:
        return
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ModuleNotFoundError as error:
        if trusted_key is None:  # the hashes were checked, and nobody asked who signed
            return
        raise MissingInputError("verifying a signature needs cryptography", remedy=_EXTRA) from error
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.public_key))
        public.verify(bytes.fromhex(signature.signature), manifest.sha256.encode())
    except (InvalidSignature, ValueError) as error:
        what = "the signature of this model is not that of its manifest"
        raise ModelError(what, code=ModelFault.CHANGED, where=where, remedy="Get the folder again") from error
