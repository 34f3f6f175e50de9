"""Who was asked and has not done what it was asked for: with an error, or with no word at all.

Flower answers for a ClientApp that was killed after a minute; before that, and for a machine that is gone, nobody does,
and Flower counts no failure.
"""

import logging
from collections.abc import Iterable, Mapping

from flwr.app import Error, Message, Metadata

logger = logging.getLogger(__name__)


class Attendance:
    """Compares answers with questions.

    Args:
        names: of clients by Flower's numbers, as far as they are known.
        limit_s: how long answers were waited for, for the warning.
    """

    def __init__(self, names: Mapping[int, str], limit_s: float) -> None:
        self._names, self._limit_s = names, limit_s
        self._asked: list[Metadata] = []

    def ask(self, messages: Iterable[Message]) -> list[Message]:
        """These are sent."""
        sent = list(messages)
        # not the messages, which hold states
        self._asked = [message.metadata for message in sent]
        return sent

    def silent(self, replies: Iterable[Message], server_round: int) -> int:
        """How many of those who were asked have not answered, not even with an error; errors are warned of too."""
        replies = list(replies)
        for message in replies:
            if message.has_error():
                who, why = self._name(self._sender(message)), reason_of(message.error)
                logger.warning("round %d: client %s failed: %s", server_round, who, why.strip().splitlines()[-1])
        answered = {self._sender(message) for message in replies}
        missing = [asked.dst_node_id for asked in self._asked if asked.dst_node_id not in answered]
        for number in missing:
            who, limit_s = self._name(number), self._limit_s
            logger.warning("round %d: client %s did not answer within %g s", server_round, who, limit_s)
        return len(missing)

    def _sender(self, reply: Message) -> int:
        """Whose answer it is: for a client that is gone Flower's server answers, in its own name."""
        question = reply.metadata.reply_to_message_id
        asked = [each.dst_node_id for each in self._asked if question and each.message_id == question]
        return asked[0] if asked else reply.metadata.src_node_id

    def _name(self, number: int) -> str:
        return self._names.get(number, f"with Flower's number {number}")


def reason_of(failure: Error) -> str:
    """What a client, or Flower for it, says of an error."""
    return failure.reason or f"error {failure.code}"
