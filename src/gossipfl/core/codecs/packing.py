"""One node's publications as they travel, and how receivers put them together again.

    exact codec      x                              seen as x
    lossy codec      C(x − x̂), x̂ ← x̂ + decoded      seen as x̂: what was lost before is in the next difference
    with feedback β  C(β·lost + change of x)          of what was lost before, that part; β = 1 is the line above
    a receiver that lacks the x̂ of the reference    gets x̂ whole, in fp32

All neighbors get the same payload and see the same x̂. Publication 0 is where all nodes start: a node that was restarted
begins with a difference to it. A sum in fp32 is the same on both ends, bit for bit.

Feedback. SparseLoCo keeps an e of its own: e ← β·e + change, send C(e), e ← e − sent. At β = 1 its e is x − x̂. Below,
it forgets, and what it forgot never reaches x̂: nodes would agree on their x̂ and stay apart by what was forgotten. Here
e is made of the true x − x̂ each time, so that everything comes in the end, later the smaller β is.
Sources: CHOCO, Koloskova, Stich & Jaggi (2019); SparseLoCo (2508.15706).
"""

from dataclasses import dataclass

import numpy as np

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.codecs import Codec, build_codec
from gossipfl.core.codecs.dtypes import Plain
from gossipfl.core.codecs.seam import Stream
from gossipfl.core.events import Pack, Packet, Publishable
from gossipfl.core.mass import Flow
from gossipfl.core.membership import Mark
from gossipfl.core.rng import generator
from gossipfl.core.wide import Wide
from gossipfl.state import AdapterState

WHOLE = Plain()
"""What travels where a difference would mean nothing."""
FLOW_BYTES = 8
"""Of a value in all that ever crossed an edge: fp64."""
NOTHING = Stream(generator(0, purpose="nothing"))


class Whole:
    """Publications without loss, each by itself."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._number = 0

    def __call__(self, content: Publishable[AdapterState]) -> Packet[AdapterState]:
        """The next publication."""
        state = content.state
        self._number += 1
        # what loses nothing draws nothing
        payload = memoryview(self._codec.encode(state.vector, state.spec, NOTHING)).cast("B")
        return Packet(content, state, None, self._number, None, payload, payload.nbytes)


class Differences:
    """Publications with loss, each the difference to what was seen of the one before.

    Args:
        origin: publication 0, the same on all nodes.
        rng: of what the codec draws.
        feedback: β.
    """

    def __init__(self, codec: Codec, origin: AdapterState, rng: np.random.Generator, *, feedback: float = 1.0) -> None:
        self._codec = codec
        self._seen = origin
        self._held_back = 1.0 - feedback
        self._lost: AdapterState | None = None
        self._stream = Stream(rng)
        self._number = 0

    def __call__(self, content: Publishable[AdapterState]) -> Packet[AdapterState]:
        """The next publication."""
        state = content.state
        payload = memoryview(self._codec.encode(self._sent(state).vector, state.spec, self._stream)).cast("B")
        self._seen = added(self._seen, self._codec, payload)
        self._number += 1
        lost = state - self._seen
        if self._held_back:
            self._lost = lost
        return Packet(content, self._seen, lost, self._number, self._number - 1, payload, payload.nbytes)

    def _sent(self, state: AdapterState) -> AdapterState:
        """What is to be encoded: β·lost + change = (state − seen) − (1 − β)·lost."""
        missing = state - self._seen
        return missing if self._lost is None else missing - self._lost * self._held_back


def packer_for(gossip: GossipConfig, seed: int, origin: AdapterState, name: str) -> Pack[AdapterState]:
    """What encodes one node's publications in one of its lives.

    Args:
        seed: the experiment's: equal states give equal bytes.
        origin: where all nodes start.
    """
    codec = build_codec(gossip)
    if codec.exact:
        return Whole(codec)
    rng = generator(seed, node=name, purpose="codec")
    return Differences(codec, origin, rng, feedback=gossip.feedback)


@dataclass(frozen=True, slots=True)
class Heard:
    """The newest publication of a neighbor.

    Attributes:
        mark: its life and the publication's number.
        seen: None where nothing is a difference to it.
        flow: all that ever crossed the edge, with it; None where no books are kept.
    """

    mark: Mark
    seen: AdapterState | None
    flow: Flow[AdapterState] | None = None


class Unpacker:
    """A receiver's side: what it saw last of each neighbor.

    Args:
        origin: publication 0.
    """

    def __init__(self, origin: AdapterState) -> None:
        self._origin = origin
        self._heard: dict[str, Heard] = {}

    def reference(self, sender: str, mark: Mark) -> AdapterState | None:
        """What a difference to this publication is added to; None: it is not here."""
        if mark[1] == 0:
            return self._origin
        heard = self._known(sender, mark)
        return None if heard is None else heard.seen

    def flow(self, sender: str, mark: Mark, weight: float, state: AdapterState) -> Flow[AdapterState] | None:
        """All that ever crossed the edge, by what had crossed it with an earlier publication; None: that is not here.

        Args:
            mark: of that publication; number 0: nothing had.
            weight: all that has crossed now.
            state: what crosses.
        """
        if mark[1] == 0:
            return Flow(weight, Wide.nothing(state).plus(weight, state))
        before = self._known(sender, mark)
        if before is None or before.flow is None:
            return None
        return Flow(weight, before.flow.total.plus(weight - before.flow.weight, state))

    def knows_flow(self, sender: str, mark: Mark) -> bool:
        """Whether `flow` would find it."""
        before = self._known(sender, mark)
        return mark[1] == 0 or (before is not None and before.flow is not None)

    def _known(self, sender: str, mark: Mark) -> Heard | None:
        heard = self._heard.get(sender)
        return heard if heard is not None and heard.mark == mark else None

    def keep(self, sender: str, heard: Heard) -> None:
        """Notes a publication that passed every check."""
        self._heard[sender] = heard


def added(reference: AdapterState, codec: Codec, payload: memoryview) -> AdapterState:
    """A publication from the one before and the difference to it.

    Raises:
        ValueError: the payload is no encoding.
    """
    return AdapterState(reference.spec, reference.vector + codec.decode(payload, reference.spec))
