"""What nodes tell each other: states that are cleared for publication, encoded, and what is said beside them.

state + receipt ── privacy ──> Publishable ── codec ──> Packet          Header, Crossing: beside it
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from gossipfl.core.mass import Flow
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the ledger has charged for a state: proof that every training step inside it is paid for.

    Attributes:
        steps: own training steps that were charged, at least those that have entered the state. In a ledger a step for
            which records of several periods pay at rates of their own counts once for each rate; ε does not.
        charges: charges the ledger held when it was given; never falls for one ledger.
        head: hash of the ledger's last entry, hex; empty when nothing was ever charged.
        epsilon: ε spent by the data's account at `delta`; 0 before the first step, infinity without privacy.
        delta: δ of the account; 0 without privacy.
    """

    steps: int = 0
    charges: int = 0
    head: str = ""
    epsilon: float = 0.0
    delta: float = 0.0


@dataclass(frozen=True, slots=True)
class Publishable(Generic[P]):
    """A state that may leave the node. Only `gossipfl.privacy` makes one; a test keeps it so."""

    state: P
    receipt: Receipt


Clear = Callable[[P, Receipt], Publishable[P]]
"""Clears a state for publication, given the receipt that covers it; raises `PrivacyError` when none does."""


@dataclass(frozen=True, slots=True)
class Packet(Generic[P]):
    """A publication as it travels.

    Attributes:
        content: what was published.
        seen: its state as every receiver will see it.
        residual: the state minus `seen`; None where nothing is lost.
        number: of the publication in this life of the sender, from 1.
        reference: number of the one that the payload is a difference to, 0: the common start; None: to none.
        payload: encoded; empty where states travel as they are, in simulations.
        size: encoded bytes.
    """

    content: Publishable[P]
    seen: P
    residual: P | None = None
    number: int = 0
    reference: int | None = None
    payload: bytes | memoryview = b""
    size: int = 0


Pack = Callable[[Publishable[P]], Packet[P]]
"""Encodes the next publication; one that loses something may build on those before."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a protocol says beside the state itself.

    Attributes:
        round: exchange rounds the sender had finished; `sync` mixes equal rounds.
        step: optimizer steps the sender has done.
        done: the sender will train no more.
        settled: the sender will not publish of its own accord any more.
        push_weight: sum of the weights that ever crossed this edge, in push-sum; 1 elsewhere.
        settle_rounds: mixing-only rounds the sender has counted; None: it does not say (an older wire).
        asks: number of a question, of protocols in which a state is answered; 0: it is none.
        answers: number of the question that it answers; 0: none.
        booked: mark of what a question's sender has booked of the receiver's answers.
    """

    round: int
    step: int
    done: bool = False
    settled: bool = False
    push_weight: float = 1.0
    settle_rounds: int | None = None
    asks: int = 0
    answers: int = 0
    booked: int = 0

    @property
    def is_at_the_start(self) -> bool:
        """Whether the sender has learned nothing yet, neither from its data nor from anybody."""
        return self.round == 0 and self.step == 0


@dataclass(frozen=True, slots=True)
class Crossing(Generic[P]):
    """What a publication adds to all that ever crossed its edge.

    Attributes:
        flow: all of it, this publication with it.
        after: number of the publication sent on this edge before, from whose flow a receiver finds this one; 0: none
            ever was; None: none in this life, so that the flow itself has to travel.
    """

    flow: Flow[P]
    after: int | None

    def follows(self, known: int | None) -> bool:
        """Whether who knows the flow after that publication of this life, or none, can find this one."""
        return self.after == 0 or (self.after is not None and self.after == known)
