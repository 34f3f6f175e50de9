"""What a node says of itself on every new link, and in which life it is."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gossipfl.config.experiment import Experiment
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.protection import ProtectionConfig
from gossipfl.core.codecs.packing import WHOLE
from gossipfl.core.handshake import PROTOCOL_VERSION, Greeting, LedgerHead
from gossipfl.core.schedule import Schedule
from gossipfl.core.topology.live import rule_digest
from gossipfl.privacy.pairs.keys import PairSeeds


def experiment_fingerprint(
    experiment: Experiment, components: Mapping[str, str], schedule: Schedule, *, live: bool = False
) -> dict[str, str]:
    """Hash by component of all that must agree between two nodes, and of nothing else.

    Args:
        components: model, adapter, basis, head and labels, as the attached adapter gives them.
        schedule: who talks to whom, with weights.
        live: it follows from who is up, so that only the rule must agree.
    """
    gossip = experiment.gossip
    return {
        **components,
        "protocol": _hash([gossip.protocol, gossip.rounds_per_phase]),
        "mixing": _hash([gossip.mixing, gossip.rate, gossip.clipping_radius, gossip.byzantine]),
        "protection": _hash(_protection(experiment.protection)),
        "schedule": rule_digest(experiment.topology) if live else schedule.digest(),
        **_shared_noise(experiment.privacy),
        # as it was when there was nothing else
        **({} if gossip.work == "normalized" else {"work": _hash(gossip.work)}),
    }


def _protection(protection: ProtectionConfig) -> object:
    if not protection.sums_only:
        # as it was when there was nothing else
        return protection.kind
    return [protection.kind, protection.bound, protection.scale_bits, protection.ring_bits]


def _shared_noise(privacy: PrivacyConfig) -> dict[str, str]:
    """Nothing where none is shared, so that such nodes greet as they always have."""
    if privacy.level != "correlated":
        return {}
    sizes = [privacy.pair_noise_multiplier, privacy.max_grad_norm]
    own = [privacy.noise_multiplier, privacy.target_epsilon, privacy.target_delta, privacy.accountant]
    return {"shared noise": _hash([sizes, own])}


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


@dataclass(slots=True)
class Greeter:
    """Makes this node's greetings.

    Its incarnation rises with every life; when a neighbor remembers a later life than this one (the state directory was
    lost), it goes on above that, so that this node's messages are not taken for a replay.

    Attributes:
        incarnation: number of this life.
        next_incarnation: makes a number above the given one durable.
        head: the ledger's head, signed for an incarnation; `None` without privacy.
        seeds: of the noise shared with neighbors; `None` where none is shared.
        trace_seed: of this life's traces; empty: it keeps none.
    """

    name: str
    fingerprint: Mapping[str, str]
    basis_sketch: tuple[float, ...]
    codec: str
    topology_version: int
    incarnation: int
    next_incarnation: Callable[[int], int]
    head: Callable[[int], LedgerHead | None]
    seeds: PairSeeds | None = None
    trace_seed: bytes = b""
    _met: dict[str, int] = field(default_factory=dict)

    def greet(self, peer: str) -> Greeting:
        """The greeting for one neighbor, as of now."""
        return Greeting(
            protocol_version=PROTOCOL_VERSION,
            name=self.name,
            fingerprint=self.fingerprint,
            basis_sketch=self.basis_sketch,
            codecs=tuple(dict.fromkeys((self.codec, WHOLE.name))),
            incarnation=self.incarnation,
            seen_incarnation=self._met.get(peer, 0),
            topology_version=self.topology_version,
            ledger_head=self.ledger_head(),
            noise_key=b"" if self.seeds is None else self.seeds.public,
            trace_seed=self.trace_seed,
        )

    def ledger_head(self) -> LedgerHead | None:
        """The ledger's head now, signed for this life."""
        return self.head(self.incarnation)

    def heard(self, peer: str, greeting: Greeting) -> None:
        """Rises above what a neighbor remembers of an earlier life of this node; agrees on a seed with it.

        A neighbor that was met in this life remembers this very life; only at the first meeting is an equal number old.
        """
        if self.seeds is not None:
            self.seeds.agree(peer, greeting.noise_key)
        first = peer not in self._met
        self._met[peer] = max(greeting.incarnation, self._met.get(peer, 0))
        if greeting.seen_incarnation > self.incarnation or (first and greeting.seen_incarnation == self.incarnation):
            self.incarnation = self.next_incarnation(greeting.seen_incarnation)
