"""`gossipfl demo`: the main job on one machine."""

from collections.abc import Callable, Mapping
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from gossipfl.cli.options import JsonOption, OutputOption, command_app, example
from gossipfl.cli.output import console, emit, note, table
from gossipfl.core.json_text import json_text
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.demo import DemoNode, DemoResult, run_demo
from gossipfl.studies.new_folder import make_new_folder

app = command_app()


@app.command(epilog=example("gossipfl demo", "gossipfl demo --no-privacy --output runs/plain"))
def demo(
    *,
    output: OutputOption = None,
    privacy: Annotated[bool, typer.Option(help="Privacy noise at ε = 8; off, to see what it costs.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of split, test set and head.")] = 0,
    json: JsonOption = False,
) -> None:
    """Four organizations on this machine fine-tune MiniLM on BBC news, each on its own part, with and without gossip.

    Starts four real `gossipfl node` processes that talk gRPC with mutual TLS on loopback, then trains the same nodes
    alone, and compares both on a common test set. Everything stays in the output folder.
    """
    folder = output or default_folder("demo")
    make_new_folder(folder)
    note(f"writing to {folder}: data, certificates, logs and state of every node; this takes some minutes")
    result = run_demo(folder, private=privacy, seed=seed, watch=_progress())
    emit(result.as_json(), json=json, text=_drawn(result))
    if result.shortfall:
        note(f"the demo falls short: {result.shortfall}")
        raise typer.Exit(1)


def _progress() -> Callable[[Mapping[str, int]], None]:
    """Shows steps when they change: a line on a terminal that is written over, JSON lines otherwise."""
    last: dict[str, int] = {}
    screen = console()

    def show(steps: Mapping[str, int]) -> None:
        if steps == last:
            return
        last.clear()
        last.update(steps)
        text = "  ".join(f"{name} {step}" for name, step in steps.items())
        if screen.is_terminal:
            screen.print(f"steps: {text}", end="\r")
        else:
            note(json_text({"steps": dict(steps)}))

    return show


def _drawn(result: DemoResult) -> RenderableType:
    columns = ("node", "articles", "alone", "with gossip", "ε spent", "of", "δ", "σ", "MB sent")
    rows = [_row(node) for node in result.nodes]
    rows.append(["mean", "", f"{result.alone_mean:.3f}", f"{result.gossip_mean:.3f}", "", "", "", "", ""])
    rates = ", ".join(f"{arm} {rate:g}" for arm, rate in result.learning_rates.items())
    private = any(node.target_epsilon is not None for node in result.nodes)
    promise = "ε protects one article of one node" if private else "no noise: nothing protects an article"
    closing = (
        f"accuracy on the common test set after equal steps; learning rates: {rates}\n"
        f"{promise}; {result.seconds:.0f} s; everything is in {result.output}"
    )
    return Group(table(columns, rows, title="BBC news, four organizations"), closing)


def _row(node: DemoNode) -> list[str]:
    labels = " ".join(f"{label} {count}" for label, count in node.labels.most_common())
    return [
        node.name,
        labels,
        f"{node.alone_accuracy:.3f}",
        f"{node.gossip_accuracy:.3f}",
        "none" if node.epsilon is None else f"{node.epsilon:.2f}",
        "–" if node.target_epsilon is None else f"{node.target_epsilon:g}",
        f"{node.delta:.1e}" if node.target_epsilon is not None else "–",
        "–" if node.noise_multiplier is None else f"{node.noise_multiplier:.2f}",
        f"{node.bytes_sent / 1e6:.2f}",
    ]
