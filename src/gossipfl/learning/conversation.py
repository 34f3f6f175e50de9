"""A chat with an exported adapter, through the tokenizer's own template.

    system ─┐
    history ┼─> template ─> ids ─> reply ─> history
    message ┘

Every turn reads the whole conversation anew. A cache kept from turn to turn would have to be cut to where the new text
first differs (templates rewrite what was said before), and recurrent models cannot be cut back.
"""

from collections.abc import Callable, Sequence

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from gossipfl.errors import ModelError
from gossipfl.learning.continuing import has_encoder
from gossipfl.learning.voice import Hear, Voice

Message = dict[str, str]
"""`role` (system, user, assistant) and `content`, as chat templates take them."""


class Conversation:
    """A chat, its history cut from the front to what the model can take.

    Args:
        voice: answers.
        system: what stands before everything and is never cut.
        notice: told in one line when turns are left out for good.

    Raises:
        ModelError: see `check_chat`.
    """

    def __init__(
        self, voice: Voice, *, system: str | None = None, notice: Callable[[str], None] = lambda _: None
    ) -> None:
        check_chat(voice)
        self._voice = voice
        self._system = opening(system)
        self._notice = notice
        self._history: list[Message] = []
        self._turn = 0

    @property
    def messages(self) -> list[Message]:
        """What the next turn would read, oldest first."""
        return [*self._system, *self._history]

    def forget(self) -> None:
        """Begins anew; what the system says stays."""
        self._history.clear()

    def say(self, text: str, *, hear: Hear | None = None) -> str:
        """The reply to a message; both enter the history.

        Raises:
            ModelError: the message does not fit the context even by itself, or the template refuses it; the history is
                as it was.
        """
        asked = [*self._history, {"role": "user", "content": text}]
        kept, ids = self._fitting(asked)
        if len(kept) < len(asked):
            turns = (len(asked) - len(kept)) // 2
            self._notice(f"history: the oldest {turns} turn(s) no longer fit the model's context and are left out")
        reply = self._voice.say(ids, turn=self._turn, hear=hear)
        self._history = [*kept, {"role": "assistant", "content": reply}]
        self._turn += 1
        return reply

    def _fitting(self, asked: list[Message]) -> tuple[list[Message], list[int]]:
        """The newest messages, in whole turns, that leave room for a reply, and their ids."""
        while True:
            ids = chat_ids(self._voice.tokenizer, [*self._system, *asked])
            if self._voice.fits(len(ids)):
                return asked, ids
            if len(asked) == 1:
                self._voice.check_room(len(ids))
            asked = asked[2:]


def opening(system: str | None) -> list[Message]:
    """What a conversation begins with."""
    return [] if system is None else [{"role": "system", "content": system}]


def check_chat(voice: Voice) -> None:
    """Refuses a model that cannot chat.

    Raises:
        ModelError: it has an encoder, which reads a text as it is, or a tokenizer without a chat template.
    """
    if has_encoder(voice.module):
        raise ModelError("chat: an encoder reads the prompt as it is; a chat template is for causal-lm")
    if not voice.tokenizer.chat_template:
        raise ModelError("chat: the model's tokenizer has no chat template; continue plain text with --prompt")


def chat_ids(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """Ids of a conversation up to where the reply begins, as training feeds them.

    Raises:
        ModelError: the template takes no such messages, a system's say.
    """
    try:
        text = str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        raise ModelError(f"chat: the tokenizer's template refuses the messages: {error}") from error
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return ids
