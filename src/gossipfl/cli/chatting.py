"""A chat on the terminal: messages from stdin, one a line, replies on stdout as they come."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from gossipfl.cli.output import emit, note, say
from gossipfl.errors import ModelError
from gossipfl.learning.conversation import Conversation
from gossipfl.learning.generation import Terms, open_voice
from gossipfl.learning.voice import Hear

_NEW, _EXIT = "/new", "/exit"


def chat_with(adapter_dir: Path, terms: Terms, *, stream: bool, json: bool) -> None:
    """Chats with an export until stdin ends; with `json`, all messages come at the end as one object.

    Raises:
        ModelError: no export, not one that can speak, or its tokenizer has no chat template.
    """
    exported, voice = open_voice(adapter_dir, terms)
    conversation = Conversation(voice, system=terms.system, notice=note)
    if sys.stdin.isatty():
        note(f"one message a line; {_NEW} forgets what was said, {_EXIT} or Ctrl-D ends")
    said: list[dict[str, str]] = conversation.messages
    for line in _lines(json=json):
        if line == _NEW:
            conversation.forget()
            continue
        said += _turn(conversation, line, stream=stream and not json, json=json)
    if json:
        emit({"messages": said, "adapter_sha256": exported.sha256}, json=True, text="")


def prints_speakers() -> Callable[[str, str], None]:
    """Prints what several speakers say, piece by piece, each under its name."""
    speakers: list[str] = []
    hear = without_blanks(say)

    def print_piece(name: str, piece: str) -> None:
        nonlocal hear
        if name not in speakers:
            say(("\n\n" if speakers else "") + f"{name}:\n")
            speakers.append(name)
            hear = without_blanks(say)
        hear(piece)

    return print_piece


def without_blanks(hear: Hear) -> Hear:
    """The same listener, spared the blanks that a text begins with."""
    begun = False

    def pass_on(piece: str) -> None:
        nonlocal begun
        piece = piece if begun else piece.lstrip()
        begun = begun or bool(piece)
        if piece:
            hear(piece)

    return pass_on


def _turn(conversation: Conversation, line: str, *, stream: bool, json: bool) -> list[dict[str, str]]:
    try:
        reply = conversation.say(line, hear=without_blanks(say) if stream else None)
    # the next message may fit
    except ModelError as error:
        note(f"error: {error}")
        return []
    if not json:
        say("\n" if stream else f"{reply}\n")
    return [{"role": "user", "content": line}, {"role": "assistant", "content": reply}]


def _lines(*, json: bool) -> Iterator[str]:
    """Messages, without blank ones, up to the end of stdin."""
    if sys.stdin.isatty():
        # arrow keys and earlier lines at the prompt
        import readline  # noqa: F401, PLC0415
    while True:
        try:
            line = (input("> ") if sys.stdin.isatty() and not json else input()).strip()
        except EOFError:
            return
        if line == _EXIT:
            return
        if line:
            yield line
