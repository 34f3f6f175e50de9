"""A grid of Flower's on which nobody waits for ever: clients in a fixed order, and as many of them as there are."""

import time
from collections.abc import Iterable, Sequence

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from gossipfl.errors import TrainingError

POLL_S = 1.0


class Mustered(Grid):
    """A grid whose clients may go.

    Flower's strategies ask several times who is there and wait until it is as many as before: here the answer stands
    until the next messages are sent.

    Args:
        inner: carries the messages.
        order: Flower's numbers of the clients in the nodes' order; those that are not in it come behind.
        patience_s: with no client at all for so long it is over.
    """

    def __init__(self, inner: Grid, order: Sequence[int], patience_s: float) -> None:
        self._inner = inner
        self._places = {node: place for place, node in enumerate(order)}
        self._patience_s = patience_s
        self._present: list[int] | None = None

    def wait_for(self, wanted: int) -> None:
        """Waits until so many clients are there.

        Raises:
            TrainingError: they did not come in time.
        """
        end = time.monotonic() + self._patience_s
        while len(present := self._look()) < wanted:
            if time.monotonic() > end:
                raise TrainingError(f"{len(present)} of {wanted} clients were there after {self._patience_s:.0f} s")
            time.sleep(POLL_S)

    def get_node_ids(self) -> Iterable[int]:
        """Clients that are there, in their order.

        Raises:
            TrainingError: there has been none for too long.
        """
        if self._present is None:
            self.wait_for(1)
            self._present = self._look()
        return self._present

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """The answers that came in time."""
        self._present = None
        return self._inner.send_and_receive(messages, timeout=timeout)

    def set_run(self, run: Run) -> None:
        """The inner one's."""
        self._inner.set_run(run)

    @property
    def run(self) -> Run:
        """The inner one's."""
        return self._inner.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """The inner one's."""
        return self._inner.create_message(content, message_type, dst_node_id, group_id, ttl)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """The inner one's."""
        return self._inner.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The inner one's."""
        return self._inner.pull_messages(message_ids)

    def _look(self) -> list[int]:
        return sorted(self._inner.get_node_ids(), key=lambda node: (self._places.get(node, len(self._places)), node))
