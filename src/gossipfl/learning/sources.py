"""Where a base model lies: `model.source` becomes a local folder with a configuration, a tokenizer and weights.

    package:DISTRIBUTION/PATH ─┐
    folder ────────────────────┼─> folder ──> SHA-256 of its weights
    FILE.gguf ── converted ────┤
    hub id ── downloaded ──────┘

The hub is asked only for what looks like a hub id and is no local path.
"""

import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download

from gossipfl.config.experiment import ModelConfig
from gossipfl.errors import ModelError
from gossipfl.learning.cache import files_sha256
from gossipfl.learning.gguf import converted

_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
_TEXTS = ("*.json", "*.txt", "*.model", "*.jinja")
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_LOCAL = re.compile(r"[./~]|.*\.(gguf|safetensors|bin)$|.*/.*/")
"""Starts like a path, ends like a file, or has more slashes than a hub id."""


@dataclass(frozen=True, slots=True)
class Located:
    """A base model on this machine.

    Attributes:
        source: `model.source`, a path made absolute: it finds the model from any folder.
        folder: what `from_pretrained` reads.
        sha256: of the weights as published: the folder's weight files, or the GGUF file.
    """

    source: str
    folder: Path
    sha256: str


def locate(model: ModelConfig, *, folder: Path) -> Located:
    """The base model's files; a GGUF is converted, a hub id downloaded, each once.

    Args:
        folder: where a relative path in `model.source` starts.

    Raises:
        ModelError: nothing there, or nothing that is a model.
    """
    path, source = _local_path(model.source, folder), model.source
    if path is None:
        path = _downloaded(model.source, model.revision)
    elif not source.startswith("package:"):
        source = str(path.resolve())
    if path.suffix == ".gguf" and path.is_file():
        return Located(source, *converted(path))
    if not (path / "config.json").is_file():
        raise ModelError(f"model.source: {model.source!r} is no model: {path} is no .gguf file and has no config.json")
    return Located(source, path, weights_sha256(path))


def parts_on_disk(model: ModelConfig, basis: Path | None, *, folder: Path) -> dict[str, str]:
    """Of `Adapted.components`, those that lie in files, without reading a model: what a later look is compared with.

    Args:
        basis: file of the adapter's public factors, if it has one.

    Raises:
        ModelError: the model is not there.
    """
    found = {} if basis is None or not basis.is_file() else {"basis": files_sha256([basis])}
    if not model.own_form and model.quantization == "none":
        found["model"] = locate(model, folder=folder).sha256
    return found


def hub_id(source: str) -> str | None:
    """The id that a located base model has on the hub; None where it lies in a folder or a package, or is code."""
    # package:…, builtin:… and module:callable; no id has a colon
    return None if ":" in source or Path(source).is_absolute() else source


def weights_sha256(folder: Path) -> str:
    """Hash of the weights in a model's folder; safetensors before older formats, as transformers chooses.

    Raises:
        ModelError: there are none.
    """
    for pattern in _WEIGHTS:
        if paths := sorted(folder.glob(pattern)):
            return files_sha256(paths)
    raise ModelError(f"model.source: {folder} has no weights; looked for {' and '.join(_WEIGHTS)}")


def _local_path(source: str, folder: Path) -> Path | None:
    if source.startswith("package:"):
        return _in_package(source)
    path = folder / Path(source).expanduser()
    if path.exists():
        return path
    if _LOCAL.match(source) or not _HUB_ID.fullmatch(source):
        raise ModelError(f"model.source: {source!r} was not found; looked for a file or folder {path}")
    return None


def _in_package(source: str) -> Path:
    name, _, inside = source.removeprefix("package:").partition("/")
    if not name or not inside:
        raise ModelError(f"model.source: {source!r} should be package:DISTRIBUTION/PATH")
    try:
        path = Path(str(importlib.metadata.distribution(name).locate_file(inside)))
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelError(f"model.source: {source!r} was not found; no Python package {name!r} is installed") from error
    if not path.exists():
        raise ModelError(f"model.source: {source!r} was not found; package {name!r} has no file or folder {inside!r}")
    return path


def find_folder(source: str, *, folder: Path) -> Path:
    """A folder with at least the texts of a model, its tokenizer say, by any name that `model.source` may have.

    Raises:
        ModelError: nothing there.
    """
    path = _local_path(source, folder)
    return _downloaded(source, None, weights=False) if path is None else path


def _downloaded(source: str, revision: str | None, *, weights: bool = True) -> Path:
    try:
        folder = _snapshot(source, revision, *(["*.safetensors"] if weights else []))
        if weights and not any(folder.glob(_WEIGHTS[0])):
            folder = _snapshot(source, revision, _WEIGHTS[1])
    # OSError: every network and cache error of the hub's client; ValueError: an id or revision it does not take
    except (OSError, ValueError) as error:
        raise ModelError(
            f"model.source: {source!r} was not found; looked for a folder of that name, then on the hub "
            f"at revision {revision or 'main'!r}: {type(error).__name__}"
        ) from error
    return folder


def _snapshot(source: str, revision: str | None, *weights: str) -> Path:
    # the hub's client falls back to its cache when the hub cannot be reached
    return Path(snapshot_download(source, revision=revision, allow_patterns=[*_TEXTS, *weights]))
