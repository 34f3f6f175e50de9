"""A node that attacks the others, to try a federation's own defenses: it trains as every node does, and lies.

    Received ── heard ──┐                              what it knows of honest nodes: what its neighbors told it
    Send ── disguised ──┴─> lie, cleared and encoded ──> publication log, transport

The attacks are those of the simulator, `gossipfl.core.attacks`; with label_flip and backdoor the node is honest and its
records are not. What it remembers is not in checkpoints. A lie is made of what the account has paid for and of what
others have sent, so that its ε stays what it was; the publication log has the digest of what left.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from gossipfl.config.attackers import AttackersConfig
from gossipfl.config.experiment import Experiment
from gossipfl.core.attacks import ATTACKS, Attack, Knowledge, Liar
from gossipfl.core.attacks.protocols import check_protocol
from gossipfl.core.codecs.packing import packer_for
from gossipfl.core.events import Send
from gossipfl.core.messages import Clear, Pack
from gossipfl.core.protocol import Schedule
from gossipfl.core.tables import resolve
from gossipfl.errors import ConfigError
from gossipfl.learning.bench import Bench
from gossipfl.learning.data import NodeRecords
from gossipfl.learning.data.poisons import poison_node
from gossipfl.privacy.publishing import Publisher
from gossipfl.state import AdapterState

logger = logging.getLogger(__name__)
UNSAFE = "--unsafe-attack-my-own-federation"


@dataclass(frozen=True, slots=True)
class AttackRequest:
    """What the command line says of attacking.

    Attributes:
        kind: of attack; None: none.
        allowed: the flag with the long name was given.
    """

    kind: str | None = None
    allowed: bool = False

    def overrides(self) -> Sequence[str]:
        """What it changes in the experiment, of this node alone.

        Raises:
            ConfigError: one of the two without the other.
        """
        if self.kind is not None and not self.allowed:
            raise ConfigError(
                f"--attack {self.kind} does harm to the models of all nodes: it is for a federation of your own, and "
                f"wants {UNSAFE} beside it"
            )
        if self.kind is None and self.allowed:
            raise ConfigError(f"{UNSAFE} does nothing by itself: --attack KIND was expected beside it")
        return () if self.kind is None else (f"simulation.attackers.kind={self.kind}",)


@dataclass(slots=True)
class Attacker:
    """The lies of one life of a node.

    Attributes:
        attack: how it lies.
        liar: what it remembers.
        schedule: of everybody.
        clear: makes what it says publishable.
        packer: makes what encodes the messages to one receiver.
        heard: newest state of each neighbor.
    """

    attack: Attack[AdapterState]
    liar: Liar[AdapterState]
    schedule: Schedule
    clear: Clear[AdapterState]
    packer: Callable[[], Pack[AdapterState]]
    heard: dict[str, AdapterState] = field(default_factory=dict)
    packs: dict[str, Pack[AdapterState]] = field(default_factory=dict)

    def hear(self, sender: str, state: AdapterState) -> None:
        """Notes what a neighbor has."""
        self.heard[sender] = state

    def disguised(self, sends: Sequence[Send[AdapterState]]) -> list[Send[AdapterState]]:
        """What leaves the node in place of publications; not for the event loop."""
        return [self._disguised(send) for send in sends]

    def _disguised(self, send: Send[AdapterState]) -> Send[AdapterState]:
        # every receiver may be told something else: its messages are a stream of their own
        if send.receiver not in self.packs:
            self.packs[send.receiver] = self.packer()
        weights = self.schedule.row(send.receiver, send.header.round).weights
        known = Knowledge(dict(self.heard), frozenset({self.liar.name}), weights)
        lie = self.liar.instead(self.attack, send.content.state, send.receiver, known)
        content = self.clear(lie, send.content.receipt)
        return replace(send, packet=self.packs[send.receiver](content))


def attacker_for(
    request: AttackRequest, name: str, experiment: Experiment, schedule: Schedule, bench: Bench
) -> Attacker | None:
    """The node's; None where it is honest.

    Raises:
        ConfigError: there is no such attack.
    """
    if request.kind is None:
        return None
    config = experiment.simulation.attackers
    build = resolve(ATTACKS, config.kind, field="--attack")
    logger.warning(
        "ATTACK: node %s attacks its neighbors on purpose (%s, %s); nothing that this federation trains is of any use",
        name,
        config.kind,
        UNSAFE,
    )
    origin = bench.adapted.initial.sharing()
    return Attacker(
        attack=build(config.strength),
        liar=Liar(name, experiment.seed),
        schedule=schedule,
        clear=Publisher(bench.account).clear,
        packer=partial(packer_for, experiment.gossip, experiment.seed, origin, name),
    )


def check_attack(request: AttackRequest, experiment: Experiment) -> None:
    """Whether the node may attack with what it is given.

    Raises:
        ConfigError: the data is not said to be public, or the attack does not go with the experiment.
    """
    if request.kind is None:
        return
    config = experiment.simulation.attackers
    resolve(ATTACKS, config.kind, field="--attack")
    if not experiment.privacy.public_data:
        raise ConfigError(
            f"--attack {config.kind}: privacy.public_data is false, and a federation that holds real data is not to be "
            "attacked: try it with public data, and say so"
        )
    if experiment.protection.kind != "plain":
        raise ConfigError(
            f"--attack {config.kind}: protection {experiment.protection.kind} makes its letters of true states: plain "
            "was expected"
        )
    check_protocol(config, experiment.gossip, field="--attack")


def poisoner(request: AttackRequest, name: str, experiment: Experiment) -> Callable[[NodeRecords], NodeRecords]:
    """What a node's records become before it trains on them."""
    config = experiment.simulation.attackers if request.kind is not None else AttackersConfig()
    return partial(_poisoned, experiment, name, config)


def _poisoned(experiment: Experiment, name: str, config: AttackersConfig, records: NodeRecords) -> NodeRecords:
    return poison_node(experiment, name, records, config)
