"""Who was asked and has not done what it was asked for: with an error, or with no word at all.

Flower answers for a ClientApp that was killed after a minute; before that, and for a machine that is gone, nobody does,
and Flower counts no failure.
"""

import logging
from collections.abc import Iterable, Mapping

from flwr.app import Error, Message

logger = logging.getLogger(__name__)


class Attendance:
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
        """How many of those who were asked have not answered, not even with an error; errors are warned of too."""
        replies = list(replies)
        for message in replies:
            if message.has_error():
                who, why = self._name(message.metadata.src_node_id), reason_of(message.error)
                logger.warning("round %d: client %s failed: %s", server_round, who, why.strip().splitlines()[-1])
        answered = {message.metadata.src_node_id for message in replies}
        missing = [number for number in self._asked if number not in answered]
        for number in missing:
            who, limit_s = self._name(number), self._limit_s
            logger.warning("round %d: client %s did not answer within %g s", server_round, who, limit_s)
        return len(missing)

    def _name(self, number: int) -> str:
        return self._names.get(number, f"with Flower's number {number}")


def reason_of(failure: Error) -> str:
    """What a client, or Flower for it, says of an error."""
    return failure.reason or f"error {failure.code}"
