"""Questions under way: to whom, since when, and when somebody else is to be asked."""

from collections.abc import Iterator
from dataclasses import dataclass

KEPT = 4
"""Questions to one member that are remembered: an answer that comes late still counts, and says how late it was."""


@dataclass(slots=True)
class Question:
    """One.

    Attributes:
        late_at: helpers are asked then.
        lost_at: nobody has answered by then.
    """

    number: int
    asked_at: float
    late_at: float
    lost_at: float
    helped: bool = False
    lost: bool = False
    delayed_s: float = 0.0


class Questions:
    """By whom they are to; a few each."""

    def __init__(self) -> None:
        self._open: dict[str, list[Question]] = {}
        self._number = 0

    def ask(self, name: str, now: float, wait_s: float) -> int:
        """Notes a question; its number."""
        self._number += 1
        question = Question(self._number, now, now + wait_s, now + 3 * wait_s)
        kept = self._open.setdefault(name, [])
        if len(kept) == KEPT:
            # never the oldest that is under way: who is asked faster than is given up would never be given up
            kept.remove(next((each for each in kept if each.lost), kept[-1]))
        kept.append(question)
        return self._number

    def answer(self, name: str, number: int) -> Question | None:
        """The question that was answered, if there is one; none to this member is under way any more."""
        found = next((each for each in self._open.get(name, ()) if each.number == number), None)
        if found is not None:
            self.settle(name)
        return found

    def settle(self, name: str) -> None:
        """Nothing is asked of a member any more."""
        self._open.pop(name, None)

    def is_asked(self, name: str) -> bool:
        """Whether an answer may still come in time."""
        return any(not each.lost for each in self._open.get(name, ()))

    def late(self, now: float) -> list[tuple[str, Question]]:
        """Those for which helpers are to be asked now; once each."""
        found = [(name, each) for name, each in self._all() if each.late_at <= now and not each.helped]
        for _, question in found:
            question.helped = True
        return found

    def lost(self, now: float) -> list[tuple[str, Question]]:
        """Those that are given up now, once each; they stay, an answer may come late."""
        found = [(name, each) for name, each in self._all() if each.lost_at <= now and not each.lost]
        for _, question in found:
            question.lost = True
        return found

    def delay(self, by_s: float) -> None:
        """Whoever asked was away for so long: the answers may have come meanwhile."""
        for _, question in self._all():
            question.late_at += by_s
            question.lost_at += by_s
            question.delayed_s += by_s

    def next_at(self) -> float | None:
        """When the next is late or lost."""
        moments = [each.lost_at if each.helped else each.late_at for _, each in self._all() if not each.lost]
        return min(moments, default=None)

    def _all(self) -> Iterator[tuple[str, Question]]:
        return ((name, each) for name, questions in self._open.items() for each in questions)
