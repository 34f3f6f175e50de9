"""A strategy of Flower's, watched: who trained, what travelled, what the clients said.

Beside watching it puts replies into the order of the clients, so that sums do not depend on who was quicker, and asks
for evaluation only when it is due.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Error, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from gossipfl.baseline.attendance import Attendance, reason_of
from gossipfl.baseline.records import ARRAYS, DIVERGED, metrics_of, number, payload_bytes
from gossipfl.errors import DivergedError, TrainingError


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client said.

    Attributes:
        number: the client's among the nodes.
        figures: by name.
    """

    number: int
    figures: MetricRecord

    def figure(self, name: str) -> float:
        """One of them; NaN where it was not sent."""
        return number(self.figures, name)


@dataclass(slots=True)
class Round:
    """What happened in a round.

    Attributes:
        index: from 1.
        sent: bytes of the tensors sent to each client that was to train.
        received: bytes of the tensors in each reply, by client.
        failed: clients without a state: diverged, failed in another way, or silent to the end.
        trained, evaluated: replies.
        arrays: what those who trained have sent, until somebody takes it.
    """

    index: int
    sent: int = 0
    received: dict[int, int] = field(default_factory=dict)
    failed: Counter[str] = field(default_factory=Counter)
    trained: list[Reply] = field(default_factory=list)
    evaluated: list[Reply] = field(default_factory=list)
    arrays: list[ArrayRecord] = field(default_factory=list)

    def take(self) -> list[ArrayRecord]:
        """The arrays, which are not kept here any longer."""
        taken, self.arrays = self.arrays, []
        return taken


class Watched(Strategy):
    """See the module; it decides nothing by itself.

    Args:
        inner: decides.
        due: whether a round ends with an evaluation by the clients.
        before_draw: called with the round's number before its clients are drawn.
        roll: tells who does not answer.

    Attributes:
        round: the one under way.
    """

    def __init__(
        self,
        inner: Strategy,
        due: Callable[[int], bool],
        roll: Attendance,
        before_draw: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._inner = inner
        self._due = due
        self._before_draw = before_draw
        self._roll = roll
        self.round = Round(0)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The inner one's messages."""
        self.round = Round(server_round)
        # asked first, so that next to nothing happens between what is called and the draw
        grid.get_node_ids()
        self._before_draw(server_round)
        messages = self._roll.ask(self._inner.configure_train(server_round, arrays, config, grid))
        self.round.sent = max(map(payload_bytes, messages), default=0)
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The inner one's mean of what arrived.

        Raises:
            DivergedError: no client has trained, and one of them diverged.
            TrainingError: no client has trained; the message is that of the first.
        """
        replies = list(replies)
        self.round.failed.update(["silent"] * self._roll.silent(replies, server_round))
        arrived, failures = _sorted(replies)
        self.round.failed.update("diverged" if one.code == DIVERGED else "failed" for one in failures)
        if not arrived:
            raise _nobody(failures, server_round)
        self.round.trained = [_reply(message) for message in arrived]
        self.round.arrays = [message.content.array_records[ARRAYS] for message in arrived]
        sizes = zip(self.round.trained, map(payload_bytes, arrived), strict=True)
        self.round.received = {reply.number: size for reply, size in sizes}
        # see `build_strategy`
        with np.errstate(divide="ignore"):
            return self._inner.aggregate_train(server_round, arrived)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The inner one's messages when an evaluation is due, else none."""
        due = self._due(server_round)
        return self._roll.ask(self._inner.configure_evaluate(server_round, arrays, config, grid) if due else ())

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Keeps every client's figures; their mean is for the recorder to make."""
        replies = list(replies)
        self._roll.silent(replies, server_round)
        arrived, _ = _sorted(replies)
        self.round.evaluated = [_reply(message) for message in arrived]
        return None

    def summary(self) -> None:
        """The inner one's."""
        self._inner.summary()


def _nobody(failures: Sequence[Error], server_round: int) -> TrainingError:
    ran_away = next((reason_of(failure) for failure in failures if failure.code == DIVERGED), None)
    if ran_away is not None:
        return DivergedError(ran_away)
    return TrainingError(reason_of(failures[0]) if failures else f"round {server_round}: no client answered in time")


def _sorted(replies: Iterable[Message]) -> tuple[list[Message], list[Error]]:
    """Those with content in the order of the clients, and what went wrong with the others."""
    arrived, failures = [], []
    for message in replies:
        if message.has_error():
            failures.append(message.error)
        else:
            arrived.append(message)
    return sorted(arrived, key=lambda message: number(metrics_of(message), "partition")), failures


def _reply(message: Message) -> Reply:
    figures = metrics_of(message)
    return Reply(int(number(figures, "partition")), figures)
