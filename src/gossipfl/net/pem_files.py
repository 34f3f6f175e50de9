"""Writing certificates and keys: a key is readable by its owner only, from its first byte, and never overwritten."""

import os
from pathlib import Path

from gossipfl.errors import CertificateError


def write_certificate(path: Path, pem: bytes) -> None:
    """Writes a public PEM file."""
    _make_folder(path.parent)
    try:
        path.write_bytes(pem)
    except OSError as error:
        raise CertificateError(f"{path}: cannot be written: {error.strerror}") from error


def write_key(path: Path, pem: bytes) -> None:
    """Writes a private key, mode 0600 from its first byte.

    Raises:
        CertificateError: there is a file already (a key is never overwritten), or it cannot be written.
    """
    _make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise CertificateError(f"{path}: there is a key already; move it away to make a new one") from error
    except OSError as error:
        raise CertificateError(f"{path}: cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise CertificateError(f"{folder} is a file, a folder for keys and certificates was expected") from error
    except OSError as error:
        raise CertificateError(f"{folder}: the folder cannot be made: {error.strerror}") from error
