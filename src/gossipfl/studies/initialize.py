"""Begins an experiment: the two files, the public basis, certificates for a trial.

    check everything ─> data/, basis ─> certs/ ─> experiment.yaml ─> peers.yaml

The two files come last: begun anew after a mistake or Ctrl-C, nothing of ours stands in the way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import parse_experiment, parse_peers
from gossipfl.config.writing import Beginning, experiment_yaml, peers_yaml
from gossipfl.errors import ConfigError, ModelError
from gossipfl.learning.adapters import make_basis
from gossipfl.learning.basis import save_basis
from gossipfl.learning.models import load_base
from gossipfl.net.certificates import make_trial_certificates

BASIS = "basis.safetensors"


@dataclass(frozen=True, slots=True)
class Begun:
    """What was written.

    Attributes:
        basis_missing: why there is no basis file; empty when there is one.
    """

    peers: Path
    experiment: Path
    basis_missing: str


def initialize(folder: Path, beginning: Beginning, *, certificates: bool) -> Begun:
    """Writes peers.yaml, experiment.yaml, the basis when the model is at hand, and certificates.

    Guarantees:
        Nothing is written before all that was asked for is found sound; nothing is overwritten.

    Raises:
        ConfigError: nodes, addresses or labels make no sound experiment, one of the files is there already, or the
            folder cannot be written.
        CertificateError: see `make_trial_certificates`.
    """
    experiment = _checked(folder, beginning)
    peers_file, experiment_file, certs = folder / "peers.yaml", folder / "experiment.yaml", folder / "certs"
    keys = [certs / f"{name}.key" for name in beginning.names] if certificates else []
    with _one_line(folder):
        _check_free(folder, [peers_file, experiment_file, *keys])
        (folder / "data").mkdir(parents=True, exist_ok=True)
    missing = _try_basis(experiment, folder)
    if certificates:
        make_trial_certificates(certs, beginning.addresses)
    with _one_line(folder):
        experiment_file.write_text(experiment_yaml(replace(beginning, basis=not missing)), encoding="utf-8")
        peers_file.write_text(peers_yaml(beginning), encoding="utf-8")
    return Begun(peers_file, experiment_file, missing)


def _checked(folder: Path, beginning: Beginning) -> Experiment:
    """The experiment, after both texts went the way that the files will go."""
    parse_peers(peers_yaml(beginning), source=f"{folder / 'peers.yaml'}, as it would be written")
    text = experiment_yaml(replace(beginning, basis=False))
    return parse_experiment(text, source=f"{folder / 'experiment.yaml'}, as it would be written")


def _check_free(folder: Path, files: list[Path]) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file, a folder was expected")
    for path in files:
        if path.exists():
            raise ConfigError(f"{path} exists already: init overwrites nothing")


def _try_basis(experiment: Experiment, folder: Path) -> str:
    """Why there is no basis file; empty when there is one."""
    try:
        return "" if write_basis(experiment, folder) else "the adapter is not of kind core"
    except ModelError as error:
        return str(error)


def write_basis(experiment: Experiment, folder: Path) -> Path | None:
    """Computes the public basis of a `core` adapter once, for all nodes; None for other adapters.

    Raises:
        ModelError: the model is not at hand, or its basis is not unique.
        ConfigError: the file cannot be written.
    """
    if experiment.adapter.kind != "core":
        return None
    base = load_base(experiment.model, experiment.task, folder=folder, seed=experiment.seed)
    path, basis = folder / BASIS, make_basis(base, experiment)
    with _one_line(folder):
        save_basis(basis, path, base_sha256=base.sha256)
    return path


@contextmanager
def _one_line(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from error
