"""One node's rows of its schedule: asked for many times a round, and some schedules compute them."""

from gossipfl.core.protocol import Row, Schedule

_KEPT = 8
"""Rounds whose rows are remembered."""


class Rows:
    """Remembers the newest few."""

    def __init__(self, name: str, schedule: Schedule) -> None:
        self._name = name
        self._schedule = schedule
        self._known: dict[int, tuple[Row, tuple[str, ...]]] = {}

    def of(self, number: int) -> Row:
        """The node's part in a round."""
        return self._known[number][0] if number in self._known else self._look_up(number)[0]

    def senders(self, number: int) -> tuple[str, ...]:
        """Whom the node hears in a round."""
        return self._known[number][1] if number in self._known else self._look_up(number)[1]

    def _look_up(self, number: int) -> tuple[Row, tuple[str, ...]]:
        if len(self._known) >= _KEPT:
            del self._known[min(self._known)]
        row = self._schedule.row(self._name, number)
        self._known[number] = known = (row, tuple(name for name in row.weights if name != self._name))
        return known
