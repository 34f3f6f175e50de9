"""What protected averaging leaves to be seen, for the knowledge-matrix attack: sums, and nothing of their parts.

The real shares are noise one by one (`tests/protection`): an observer learns the sum over all senders, or nothing. So
here the parts travel in clear between guards, and only sums are handed on.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from gossipfl.core.events import Heard, Send, Summed
from gossipfl.core.knowledge import Combination
from gossipfl.core.protocol import Schedule
from gossipfl.errors import MessageError
from gossipfl.protection.letters import SHARE, Job, Letter, Taken

_WORD = np.dtype(np.float64).itemsize


class Summing:
    """One node's guard; see `protection.letters.Guard`."""

    def __init__(self, me: str, schedule: Schedule, unknowns: int) -> None:
        weights = schedule.row(me, 0).weights
        self._weights = {name: weight for name, weight in weights.items() if name != me}
        self._unknowns = unknowns
        self._rounds: dict[int, dict[str, Combination]] = {}

    @property
    def sizes(self) -> Mapping[str, range]:
        """See `protection.letters.Guard`."""
        size = _WORD * (self._unknowns + 1)
        return {SHARE: range(size, size + 1)}

    def up(self, name: str) -> Sequence[Letter]:  # noqa: ARG002  # there are no keys
        """Nothing to agree on."""
        return ()

    def publish(self, send: Send[Combination]) -> Sequence[Job[Combination]]:
        """The state, which only the receiver's guard reads."""
        state = send.packet.seen
        content = np.append(state.coefficients, state.value).view(np.uint8)
        return [lambda: Letter(SHARE, send.receiver, content, send.header)]

    def take(self, sender: str, letter: Letter, present: int) -> Taken[Combination]:
        """Tells of the sender, and the mean once all of its round are there."""
        if letter.kind != SHARE or letter.size not in self.sizes[SHARE]:
            raise MessageError(f"{sender!r} sent no share", peer=sender, reason="protection")
        number = letter.header.round
        heard = Heard(sender, letter.header)
        if number < present:
            return Taken(events=[heard])
        shares = self._rounds.setdefault(number, {})
        shares[sender] = _read(letter)
        if len(shares) < len(self._weights):
            return Taken(events=[heard])
        return Taken(events=[heard, Summed(number, self._mean(self._rounds.pop(number)))])

    def _mean(self, shares: Mapping[str, Combination]) -> Combination:
        total = Combination.zero(self._unknowns)
        for name, share in shares.items():
            total = total + share * self._weights[name]
        return total * (1.0 / sum(self._weights.values()))


def _read(letter: Letter) -> Combination:
    values = np.frombuffer(letter.content, np.float64)
    return Combination(values[:-1], float(values[-1]))
