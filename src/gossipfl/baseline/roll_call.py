"""Who was asked and has said nothing: a client whose process was killed sends no error, and Flower counts none."""

import logging
from collections.abc import Iterable, Mapping

from flwr.app import Message

logger = logging.getLogger(__name__)


class RollCall:
    """Compares answers with questions.

    Args:
        names: of clients by Flower's numbers, as far as they are known.
        limit_s: how long answers were waited for, for the warning.
    """

    def __init__(self, names: Mapping[int, str], limit_s: float) -> None:
        self._names, self._limit_s = names, limit_s
        self._asked: list[int] = []

    def ask(self, messages: Iterable[Message]) -> list[Message]:
        """These are sent."""
        sent = list(messages)
        self._asked = [message.metadata.dst_node_id for message in sent]
        return sent

    def silent(self, replies: Iterable[Message], server_round: int) -> int:
        """How many of those who were asked have not answered, not even with an error; each is warned of."""
        answered = {message.metadata.src_node_id for message in replies}
        missing = [number for number in self._asked if number not in answered]
        for number in missing:
            who = self._names.get(number, f"with Flower's number {number}")
            logger.warning("round %d: client %s did not answer within %g s", server_round, who, self._limit_s)
        return len(missing)
