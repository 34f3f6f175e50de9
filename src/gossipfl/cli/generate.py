"""`gossipfl generate`: text from an exported adapter, beside the base model's."""

from pathlib import Path
from typing import Annotated

import typer

from gossipfl.cli.options import JsonOption, command_app, example
from gossipfl.cli.output import emit
from gossipfl.learning.generation import Generation, generate

app = command_app()


@app.command(name="generate", epilog=example('gossipfl generate --adapter exported --prompt "What is ataxia?"'))
def run(
    *,
    adapter: Annotated[Path, typer.Option(help="What gossipfl export wrote.", metavar="DIR")],
    prompt: Annotated[str, typer.Option(help="What to continue, or to answer.", metavar="TEXT")],
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest continuation, in tokens.")] = 100,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    chat: Annotated[
        bool | None, typer.Option("--chat/--no-chat", help="Use the chat template; default: as in training.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Continue a prompt with the adapter and with the base model alone, greedily: the same words every time."""
    found = generate(adapter, prompt, max_new_tokens=max_new_tokens, device=device, chat=chat)
    result = {"text": found.text, "base_text": found.base_text, "adapter_sha256": found.adapter_sha256}
    emit(result, json=json, text=_drawn(found))


def _drawn(found: Generation) -> str:
    return f"adapter {found.adapter_sha256[:12]}:\n{found.text}\n\nbase model:\n{found.base_text}"
