"""Begins an experiment: the two files, the public basis, certificates for a trial."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import load_experiment
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

    Raises:
        ConfigError: one of the files is there already; nothing is overwritten.
    """
    peers, experiment = folder / "peers.yaml", folder / "experiment.yaml"
    for path in (peers, experiment):
        if path.exists():
            raise ConfigError(f"{path} exists already: init overwrites nothing")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    experiment.write_text(experiment_yaml(replace(beginning, basis=False)))
    missing = ""
    try:
        write_basis(load_experiment(experiment).experiment, folder)
    except ModelError as error:
        missing = str(error)
    experiment.write_text(experiment_yaml(replace(beginning, basis=not missing)))
    peers.write_text(peers_yaml(beginning))
    if certificates:
        addresses = _addresses(beginning.names, beginning.host, beginning.base_port)
        make_trial_certificates(folder / "certs", addresses)
    return Begun(peers, experiment, missing)


def write_basis(experiment: Experiment, folder: Path) -> Path | None:
    """Computes the public basis of a `core` adapter once, for all nodes; None for other adapters.

    Raises:
        ModelError: the model is not at hand, or its basis is not unique.
    """
    if experiment.adapter.kind != "core":
        return None
    base = load_base(experiment.model, experiment.task, folder=folder, seed=experiment.seed)
    path = folder / BASIS
    save_basis(make_basis(base, experiment), path, base_sha256=base.sha256)
    return path


def _addresses(names: Sequence[str], host: str, base_port: int) -> dict[str, str]:
    return {name: f"{host}:{base_port + place}" for place, name in enumerate(names)}
