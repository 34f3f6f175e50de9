"""`gossipfl advise`: which schedule, protocol and codec to take, by trying them on the simulator."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from gossipfl.cli.options import JsonOption, OutputOption, SetOption, command_app, example
from gossipfl.cli.output import console, emit, note, table
from gossipfl.config.loading import load_simulation
from gossipfl.errors import ConfigError
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.advise import Advice, Wish, advise

app = command_app()


@app.command(
    "advise",
    epilog=example(
        "gossipfl advise experiment.yaml",
        "gossipfl advise experiment.yaml --error 1e-6 --set simulation.links.bytes_per_s=1e6 --json",
        "gossipfl advise experiment.yaml --schedules base:1,static:ring --codecs fp32,int8 --protocols sync",
        "gossipfl advise experiment.yaml --output runs/advice --resume",
    ),
)
def advise_command(  # noqa: PLR0913  # one an option
    experiment: Annotated[Path, typer.Argument(help="experiment.yaml.", metavar="FILE")],
    *,
    error: Annotated[float, typer.Option(help="Spread of the nodes to reach, of that at the start.")] = 1e-3,
    most_drift: Annotated[float, typer.Option(help="That their mean may move meanwhile, in the same unit.")] = 0.1,
    schedules: Annotated[str | None, typer.Option(help="Try these only, as base:1,static:ring.")] = None,
    protocols: Annotated[str | None, typer.Option(help="Try these only, as sync,push_sum.")] = None,
    codecs: Annotated[str | None, typer.Option(help="Try these only, as int8,top_k:0.1.")] = None,
    repeats: Annotated[int, typer.Option(help="Seeds of the soonest six.", min=1)] = 3,
    values: Annotated[int, typer.Option(help="Of the vector that stands for the adapter, at most.", min=1)] = 4096,
    rounds: Annotated[int, typer.Option(help="After which one is given up.", min=1)] = 2000,
    jobs: Annotated[int | None, typer.Option(help="Processes; default: one a core.", min=1)] = None,
    output: OutputOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with one that was stopped.")] = False,
    sets: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Try schedules, protocols and codecs on the experiment's network, and name the three that agree soonest.

    Averaging alone is simulated, for `simulation.nodes` nodes on `simulation.links` (latency, jitter, loss; bytes_per_s
    as all that a node sends) with the deadline of the file. A vector of some thousand values stands for the adapter:
    bytes and times are those of the adapter's own size. Seconds are virtual, bytes those that one node sends. What
    makes no sense is left out, with the reason in --json. The YAML goes in place of the file's topology and gossip.
    """
    if resume and output is None:
        raise ConfigError("--resume: --output is missing: the folder of the one that was stopped was expected")
    if not 0 < error < 1 or most_drift < 0:
        raise ConfigError(f"--error {error:g}, --most-drift {most_drift:g}: above 0 and below 1, and not below 0")
    given = {"schedules": schedules, "protocols": protocols, "codecs": codecs}
    labels = {kind: [label.strip() for label in text.split(",")] for kind, text in given.items() if text is not None}
    wish = Wish(error, most_drift, repeats, values, rounds, jobs or os.cpu_count() or 1, labels)
    folder = output or default_folder(experiment.stem)
    try:
        advice = advise(load_simulation(experiment, sets or ()), folder, wish, resume=resume, show=_progress())
    except KeyboardInterrupt:
        note(f"stopped; go on with --output {folder} --resume")
        raise
    emit(advice.as_json(), json=json, text=_drawn(advice, error))


def _progress() -> Callable[[int, int], None]:
    """A line on a terminal that is written over, a line for every tenth run otherwise."""
    screen = console()

    def show(done: int, of: int) -> None:
        if screen.is_terminal:
            screen.print(f"{done} of {of} runs done".ljust(40), end="\r")
        elif done % 10 == 0 or done == of:
            note(f"{done} of {of} runs done")

    return show


def _drawn(advice: Advice, error: float) -> RenderableType:
    rows = [
        [
            one.combination.schedule,
            one.combination.protocol,
            one.combination.codec,
            one.seconds,
            f"{one.between_s[0]:.4g} to {one.between_s[1]:.4g}",
            f"{one.bytes:,.0f}",
            f"{one.rounds:.1f}",
            one.drift,
        ]
        for one in advice.choices
    ]
    head = ["schedule", "protocol", "codec", "virtual s", "between", "bytes a node", "rounds", "drift"]
    tried = len({done.combination for done in advice.tried})
    closing = f"to {error:g} of the spread; {tried} combinations tried, {len(advice.refused)} left out: {advice.output}"
    texts = [
        f"\n# {place}, in place of topology and gossip\n{one.text}" for place, one in enumerate(advice.choices, start=1)
    ]
    return Group(table(head, rows), closing, *texts)
