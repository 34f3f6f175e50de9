"""`gossipfl generate`: text from an exported adapter, beside the base model's; or a chat with it."""

from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.chatting import chat_with, prints_speakers
from gossipfl.cli.options import JsonOption, command_app, example
from gossipfl.cli.output import emit
from gossipfl.errors import ConfigError
from gossipfl.learning.continuing import Sampling
from gossipfl.learning.generation import Generation, Terms, generate_on

app = command_app()


@app.command(
    name="generate",
    epilog=example(
        'gossipfl generate --adapter exported --prompt "What is ataxia?"',
        'gossipfl generate --adapter exported --chat --system "Answer in one sentence." --temperature 0.7',
    ),
)
def run(  # noqa: PLR0913  # one an option
    *,
    adapter: Annotated[Path, typer.Option(help="What gossipfl export wrote.", metavar="DIR")],
    prompt: Annotated[
        str | None, typer.Option(help="What to continue, or to answer; without one: a chat.", metavar="TEXT")
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="Of a chat: what stands before everything.", metavar="TEXT")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest continuation, in tokens.")] = 100,
    temperature: Annotated[
        float, typer.Option(help="0: always the likeliest token; 1: as likely as the model says; above: wilder.")
    ] = 0.0,
    top_p: Annotated[
        float | None,
        typer.Option(help="Draw from the likeliest tokens of this probability together; default: 0.95.", metavar="P"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn: equal seeds, equal words.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    chat: Annotated[
        bool | None, typer.Option("--chat/--no-chat", help="Use the chat template; default: as in training.")
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(help="Allow this code to be imported, for a model of your own.", metavar="MODULE:CALLABLE"),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="Print words as they come; never with --json.")
    ] = True,
    json: JsonOption = False,
) -> None:
    """Continue a prompt with the adapter and with the base model alone; without a prompt, chat with the adapter.

    Greedy: the same words every time, unless there is a temperature. A chat reads one message a line until Ctrl-D, and
    remembers what was said as far as the model's context goes; /new forgets it, /exit ends.
    """
    terms = Terms(max_new_tokens, device, Sampling(temperature, top_p, seed), chat, system, code)
    if prompt is None:
        if chat is False:
            raise ConfigError("--no-chat continues plain text: give it a --prompt")
        chat_with(adapter, terms, stream=stream, json=json)
        return
    streams = stream and not json
    found = generate_on(adapter, prompt, terms, hear=prints_speakers() if streams else None)
    result = {"text": found.text, "base_text": found.base_text, "adapter_sha256": found.adapter_sha256}
    emit(result, json=json, text="" if streams else _drawn(found))


def _drawn(found: Generation) -> str:
    return f"adapter {found.adapter_sha256[:12]}:\n{found.text}\n\nbase model:\n{found.base_text}"
