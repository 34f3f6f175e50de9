"""From files to values: peers.yaml and experiment.yaml, read, overridden, checked.

    peers.yaml ──> Peers ──┬─ experiment: path or inline ──> Experiment
                           └─ topology ──> instead of the experiment's
    --set a.b=c ──> last word on the experiment

Every mistake is one `ConfigError` that names file, field, value and expectation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from gossipfl.config.experiment import Averaging, Experiment
from gossipfl.config.explain import explain
from gossipfl.config.membership import check_dynamic
from gossipfl.config.overriding import changed, overridden, string_keys
from gossipfl.config.peers import Peers
from gossipfl.config.this_node import resolve_self
from gossipfl.config.yaml_text import parse_mapping, read_text
from gossipfl.errors import ConfigError

__all__ = [
    "LoadedAveraging",
    "LoadedExperiment",
    "LoadedPeers",
    "change_experiment",
    "dump_experiment",
    "load_experiment",
    "load_peers",
    "load_simulation",
    "parse_experiment",
    "parse_peers",
    "resolve_self",
]

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class LoadedExperiment:
    """An experiment and where it came from.

    Attributes:
        experiment: the value, everything resolved.
        folder: what its relative paths refer to.
        topology_folder: what a graph file in `topology.kind` refers to; peers.yaml's when the topology stands there.
        text: the file as it was read, overrides not in it.
        path: the file; peers.yaml for an inline experiment.
    """

    experiment: Experiment
    folder: Path
    topology_folder: Path
    text: str
    path: Path


@dataclass(frozen=True, slots=True)
class LoadedPeers:
    """peers.yaml, its experiment, and where they came from.

    Attributes:
        peers: the value.
        experiment: inline or from its own file, with peers.yaml's topology and the overrides in it.
        folder: what relative paths in peers.yaml refer to.
        text: the file as it was read.
        path: the file.
    """

    peers: Peers
    experiment: LoadedExperiment
    folder: Path
    text: str
    path: Path

    @property
    def names(self) -> tuple[str, ...]:
        """Every node's name, in the file's order."""
        return tuple(node.name for node in self.peers.nodes)


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> LoadedExperiment:
    """An experiment.yaml, with `a.b=value` overrides applied.

    Raises:
        ConfigError: the file or an override is not what it should be; one line.
    """
    text = read_text(path)
    experiment = parse_experiment(text, source=str(path), overrides=overrides)
    return LoadedExperiment(experiment, path.parent, path.parent, text, path)


@dataclass(frozen=True, slots=True)
class LoadedAveraging:
    """An experiment without training, and where it came from; see `LoadedExperiment`."""

    experiment: Averaging
    folder: Path

    @property
    def topology_folder(self) -> Path:
        """What a graph file refers to."""
        return self.folder


def load_simulation(path: Path, overrides: Sequence[str] = ()) -> LoadedExperiment | LoadedAveraging:
    """An experiment.yaml for the simulator: with `training: none` it is gossip alone.

    Raises:
        ConfigError: as `load_experiment`.
    """
    raw = overridden(parse_mapping(read_text(path), source=str(path)), overrides)
    if raw.get("training") != "none":
        return load_experiment(path, overrides)
    return LoadedAveraging(_validated(Averaging, raw, source=_named(str(path), overrides)), path.parent)


def change_experiment(loaded: LoadedExperiment, changes: Mapping[str, object], *, source: str) -> LoadedExperiment:
    """The experiment with some fields changed, as `--set` would; it lies in no file, so its text is its own.

    Args:
        changes: dotted or nested, see `overriding.changed`.
        source: what error messages call it.

    Raises:
        ConfigError: what comes out is no experiment; one line.
    """
    raw = changed(loaded.experiment.model_dump(mode="json"), changes, source=source)
    experiment = _validated(Experiment, raw, source=source)
    return replace(loaded, experiment=experiment, text=dump_experiment(experiment))


def parse_experiment(text: str, *, source: str, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment that a text holds, before it is a file or after.

    Args:
        source: what error messages call it.

    Raises:
        ConfigError: the text or an override is not what it should be; one line.
    """
    raw = overridden(parse_mapping(text, source=source), overrides)
    return _validated(Experiment, raw, source=_named(source, overrides))


def parse_peers(text: str, *, source: str) -> Peers:
    """What a text says as peers.yaml; an experiment that it names is not read.

    Args:
        source: what error messages call it.

    Raises:
        ConfigError: the text is not what it should be; one line.
    """
    return _validated(Peers, parse_mapping(text, source=source), source=source)


def load_peers(path: Path, overrides: Sequence[str] = ()) -> LoadedPeers:
    """A peers.yaml and the experiment it names or holds; overrides go to the experiment.

    Raises:
        ConfigError: a file or an override is not what it should be; one line.
    """
    text = read_text(path)
    raw = parse_mapping(text, source=str(path))
    inline = raw.get("experiment", "")
    if not isinstance(inline, dict | str):
        raise ConfigError(f"{path}: experiment: {inline!r}, should be a path or the experiment itself")
    # the union in `Peers` would explain a mistake in an inline experiment twice
    peers = _validated(Peers, {**raw, "experiment": ""} if isinstance(inline, dict) else raw, source=str(path))
    if isinstance(inline, dict):
        home, home_text, mapping, prefix = path, text, string_keys(inline), "experiment"
    else:
        home = path.parent / str(peers.experiment)
        home_text = read_text(home)
        mapping, prefix = parse_mapping(home_text, source=str(home)), ""
    topology = raw.get("topology")
    mapping = overridden({**mapping, "topology": topology} if topology else mapping, overrides)
    experiment = _validated(Experiment, mapping, source=_named(str(home), overrides), prefix=prefix)
    folder = path.parent if topology else home.parent
    loaded = LoadedExperiment(experiment, home.parent, folder, home_text, home)
    if peers.membership == "dynamic":
        check_dynamic(experiment, source=_named(str(home), overrides))
    return LoadedPeers(peers, loaded, path.parent, text, path)


def dump_experiment(experiment: Experiment | Averaging) -> str:
    """YAML of everything resolved; loading it gives an equal experiment."""
    return yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _validated(model: type[Model], raw: Mapping[str, object], *, source: str, prefix: str = "") -> Model:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{source}: {explain(error, model, prefix=prefix)}") from None


def _named(source: str, overrides: Sequence[str]) -> str:
    return f"{source} with --set {' '.join(overrides)}" if overrides else source
