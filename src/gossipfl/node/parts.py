"""What a running node is made of: the values that `assembly` builds and `runtime` uses."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossipfl.config.experiment import Experiment
from gossipfl.core.events import Send
from gossipfl.core.handshake import Greeting, LedgerHead
from gossipfl.core.json_text import json_text
from gossipfl.core.messages import Receipt
from gossipfl.core.protocol import Protocol
from gossipfl.core.snapshot import Snapshot
from gossipfl.learning.bench import Bench
from gossipfl.net.transport import NetEvent, Transport
from gossipfl.node.attacking import Attacker
from gossipfl.node.checkpoint import Saved, moments_of, save_checkpoint
from gossipfl.node.common import Common
from gossipfl.node.drawing import Draw
from gossipfl.node.following import Followed
from gossipfl.node.greeting import Greeter
from gossipfl.node.intake import Intake
from gossipfl.node.record import NodeRecord
from gossipfl.node.rest import Rest
from gossipfl.node.state_directory import StateDirectory
from gossipfl.node.traces.seam import Traces
from gossipfl.privacy.publications import PublicationLog
from gossipfl.protection.letters import Guard
from gossipfl.state import AdapterState

OpenTransport = Callable[[Callable[[NetEvent], None]], Transport]
"""A transport, not entered yet, that hands its events to the given function."""


@dataclass(frozen=True, slots=True)
class NodeParts:
    """Everything one node works with.

    Attributes:
        experiment: what is trained, resolved.
        directory: the node's folder, locked.
        protocol: the state machine, at the point where the last life ended.
        bench: learner, data and the data's account.
        saved: the checkpoint the node goes on from; `None` in its first life.
        publications: signed log of everything that leaves.
        greeter: what this node says of itself.
        open_transport: makes the transport.
        record: running figures.
        report: called with the record whenever it changed.
        draw: called with every line of its metrics.
        common: its part in what all nodes do together.
        guard: of this life; None where states travel as they are.
        attacker: what it says in place of its states; None of an honest node.
        followed: what the node's neighbors follow from; None: they stay as they are.
        traces: told what happens when; None where nobody asked for traces.
        rest: before a phase; None where the machine trains all the time.
        intake: takes new data in; None: none comes.
    """

    experiment: Experiment
    directory: StateDirectory
    protocol: Protocol[AdapterState]
    bench: Bench
    saved: Saved | None
    publications: PublicationLog
    greeter: Greeter
    open_transport: OpenTransport
    record: NodeRecord
    report: Callable[[NodeRecord], None]
    draw: Draw
    common: Common
    guard: Guard[AdapterState] | None = None
    attacker: Attacker | None = None
    followed: Followed | None = None
    traces: Traces | None = None
    rest: Rest | None = None
    intake: Intake | None = None

    def note(self) -> None:
        """Writes the record down as a line of metrics, draws it, and tells of it."""
        # once: an evaluation in the trainer's thread may end meanwhile
        line = self.record.as_json()
        self.directory.append_metrics(json_text(line))
        self.draw(line)
        self.report(self.record)

    async def save(
        self, snapshot: Snapshot[AdapterState], moments: Mapping[str, NDArray[np.float32]]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Makes a checkpoint durable, off the event loop; the same moments as they lie on disk."""
        saved = Saved(snapshot, moments, self.common.terms.branch)
        path = await asyncio.to_thread(save_checkpoint, self.directory.path, saved)
        return moments_of(path)

    async def save_heads(self, heads: Mapping[str, LedgerHead]) -> None:
        """Makes durable what neighbors showed of their ledgers, off the event loop."""
        if heads:
            await asyncio.to_thread(self.directory.save_heads, heads)

    @property
    def finished(self) -> bool:
        """Whether an earlier life came to the end of this very run."""
        settled = self.saved is not None and self.saved.snapshot.settle_rounds >= self.experiment.gossip.settle_rounds
        return settled and self.directory.is_finished(str(self._end))

    def mark_finished(self) -> None:
        """Notes that the run came to its end."""
        self.directory.mark_finished(str(self._end))

    @property
    def _end(self) -> tuple[int, int, float | None]:
        experiment = self.experiment
        return experiment.training.phases, experiment.gossip.settle_rounds, experiment.privacy.target_epsilon

    def log_publications(self, sends: Sequence[Send[AdapterState]]) -> None:
        """Makes the log's rows for these messages durable; not for the event loop."""
        self.publications.append([(send.receiver, send.content) for send in sends])

    def ledger_head(self) -> LedgerHead | None:
        """The ledger's head, signed for this life."""
        return self.greeter.ledger_head()

    def receipt(self) -> Receipt:
        """What the ledger holds now."""
        return self.bench.account.receipt()

    def heard(self, name: str, greeting: Greeting) -> None:
        """Notes what a neighbor remembers of this node."""
        self.greeter.heard(name, greeting)
