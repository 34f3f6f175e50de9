"""A combination put into an experiment: what else the sections hold stays, as far as it belongs to it."""

from pydantic import ValidationError

from gossipfl.config.experiment import Averaging, Experiment
from gossipfl.config.explain import explain
from gossipfl.config.gossip import GossipConfig
from gossipfl.config.loading import LoadedAveraging, LoadedExperiment
from gossipfl.config.overriding import changed
from gossipfl.config.topology import TopologyConfig
from gossipfl.errors import ConfigError
from gossipfl.state import AdapterSpec
from gossipfl.studies.advise_grid import Combination
from gossipfl.studies.advise_size import wire_ratio


def entry_for(
    loaded: LoadedExperiment | LoadedAveraging, combination: Combination, spec: AdapterSpec, small: AdapterSpec
) -> tuple[TopologyConfig, GossipConfig, float]:
    """Sections of the experiment with the combination in them, and how many times as large messages really are.

    Raises:
        ConfigError: the combination makes no sense.
    """
    made = _with(loaded, combination)
    return made.topology, made.gossip, wire_ratio(made.gossip, spec, small)


def sections_of(
    loaded: LoadedExperiment | LoadedAveraging, combination: Combination
) -> tuple[dict[str, object], dict[str, object]]:
    """`topology` and `gossip` of what was measured, as they stand in a file: the combination, then the rest.

    Raises:
        ConfigError: the combination makes no sense.
    """
    made = _with(loaded, combination)
    topology, gossip = (part.model_dump(mode="json", exclude_defaults=True) for part in (made.topology, made.gossip))
    return {**combination.topology, **topology}, {**combination.gossip, **gossip}


def _with(loaded: LoadedExperiment | LoadedAveraging, combination: Combination) -> Experiment | Averaging:
    experiment = loaded.experiment
    # of another graph or codec: its degree, weights, rate
    same_graph = combination.topology.get("kind") == experiment.topology.kind
    graph: dict[str, object] = {} if same_graph else {"kind": "ring", "weights": "auto", "degree": None, "shape": []}
    codec = {} if combination.gossip["codec"] == experiment.gossip.codec else {"consensus_rate": None}
    changes = {"topology": {**graph, **combination.topology}, "gossip": {**codec, **combination.gossip}}
    raw = changed(experiment.model_dump(mode="json"), changes, source="advise")
    kind: type[Experiment | Averaging] = type(experiment)
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(explain(error, kind)) from None
