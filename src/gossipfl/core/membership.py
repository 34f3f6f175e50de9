"""Who was heard last: one message of each sender counts once, however often the network delivers it.

    (incarnation, sequence)   ordered lexicographically, strictly rising for each sender

The incarnation rises with every life of a node, the sequence with every message of that life, so that a node that lost
its state is heard again instead of being taken for a replay.
"""

from collections.abc import Mapping

Mark = tuple[int, int]
"""(incarnation, sequence)."""


class Freshness:
    """Keeps the newest mark of every sender; one entry a sender, so admit only known senders."""

    def __init__(self, marks: Mapping[str, Mark] | None = None) -> None:
        self._marks: dict[str, Mark] = dict(marks or {})

    def accept(self, sender: str, incarnation: int, sequence: int) -> bool:
        """Whether the message is newer than all accepted from this sender; if so it is remembered."""
        mark = (incarnation, sequence)
        if sender in self._marks and mark <= self._marks[sender]:
            return False
        self._marks[sender] = mark
        return True

    def seen(self, sender: str) -> Mark:
        """The newest accepted mark; (0, 0) of a sender never heard."""
        return self._marks.get(sender, (0, 0))

    def marks(self) -> dict[str, Mark]:
        """All marks, to go on from after a restart."""
        return dict(self._marks)
