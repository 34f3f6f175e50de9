"""Level correlated on a real node: whose edges it has, and how it agrees on their seeds."""

from dataclasses import dataclass

from gossipfl.config.experiment import Experiment
from gossipfl.core.protocol import Schedule
from gossipfl.core.topology.links import mutual_links
from gossipfl.errors import PrivacyError
from gossipfl.learning.books import Streams
from gossipfl.net.identity import Identity
from gossipfl.node.state_directory import StateDirectory
from gossipfl.privacy.pairs.keys import PairSeeds
from gossipfl.privacy.pairs.noise import AgreedNoise, SeededNoise
from gossipfl.privacy.pairs.terms import PairTerms
from gossipfl.privacy.pairs.turns import FileTurns


@dataclass(frozen=True, slots=True)
class SharedNoise:
    """What a node shares with its neighbors; nothing but at level correlated.

    Attributes:
        terms: for plan and mechanism.
        seeds: for greetings; None for seeded noise too.
    """

    terms: PairTerms | None = None
    seeds: PairSeeds | None = None


def share_noise(
    experiment: Experiment, identity: Identity, schedule: Schedule, directory: StateDirectory, streams: Streams
) -> SharedNoise:
    """What this node shares with its neighbors.

    Raises:
        TopologyError: an edge goes one way only.
        PrivacyError: without TLS nobody knows with whom a seed is agreed.
        StateError: the state directory does not say which noise was used.
    """
    if experiment.privacy.level != "correlated":
        return SharedNoise()
    refuse_strangers(experiment, insecure=identity.insecure)
    links = mutual_links(schedule)
    name, own = identity.name, links[identity.name]
    if streams == "seeded":
        return SharedNoise(PairTerms(name, links, SeededNoise(experiment.seed, name, own)))
    seeds = PairSeeds(name, own)
    turns = FileTurns(directory.path / "pair_noise.json")
    noise = AgreedNoise(name, own, seeds, turns, patience_s=experiment.gossip.deadline_s)
    return SharedNoise(PairTerms(name, links, noise), seeds)


def refuse_strangers(experiment: Experiment, *, insecure: bool) -> None:
    """Raises `PrivacyError` where noise is shared with neighbors that anybody could be."""
    if insecure and experiment.privacy.level == "correlated":
        raise PrivacyError(
            "privacy.level correlated agrees on secrets with neighbors, and --insecure lets anybody be one"
        )


def planned_sharing(experiment: Experiment, name: str, schedule: Schedule) -> PairTerms:
    """What a plan needs to know, for who draws no noise.

    Raises:
        TopologyError: an edge goes one way only.
    """
    links = mutual_links(schedule)
    return PairTerms(name, links, SeededNoise(experiment.seed, name, links[name]))
