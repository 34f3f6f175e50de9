"""`gossipfl drill`: faults on real processes, and how long nodes take to be as before."""

from typing import Annotated

import typer
from rich.console import Group, RenderableType

from gossipfl.cli.options import JsonOption, OutputOption, command_app, example
from gossipfl.cli.output import emit, note, table
from gossipfl.errors import ConfigError
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.drill.drills import QUICK, Drilled, Outcome, Wish, hold_drills
from gossipfl.studies.drill.faults import FAULTS
from gossipfl.studies.drill.namespaces import why_not
from gossipfl.studies.new_folder import make_new_folder

app = command_app()


@app.command(
    epilog=example(
        "gossipfl drill --quick", "gossipfl drill --only kill,partition --lines loopback", "gossipfl drill --hours 8"
    )
)
def drill(  # noqa: PLR0913  # one an option
    *,
    quick: Annotated[bool, typer.Option("--quick", help=f"Within five minutes: {', '.join(QUICK)}.")] = False,
    hours: Annotated[float, typer.Option(min=0, help="Then go on with drawn faults for so long.")] = 0.0,
    only: Annotated[str | None, typer.Option(metavar="A,B", help=f"These faults: {', '.join(FAULTS)}.")] = None,
    lines: Annotated[
        str | None,
        typer.Option(help="namespaces (root): a network of its own for each node; loopback: proxies between them."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of losses and of the order of drawn faults.")] = 0,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Holds fault drills on four real node processes of this machine.

    Nodes train with differential privacy and average over mutual TLS while processes are killed and frozen, lines are
    cut, slowed and flooded, disks fill up. Nodes that are not struck have to go on, all have to be as before within 90
    seconds after it is mended, ε never falls, and no phase is lost but the one in flight.
    """
    wish = Wish(_faults(only, quick=quick), hours * 3600, namespaces=_namespaces(lines), seed=seed)
    folder = output or default_folder("drill")
    make_new_folder(folder)
    note(f"writing to {folder}; four nodes on {'namespaces' if wish.namespaces else 'loopback'}")
    drilled = hold_drills(folder, wish, _told)
    emit(drilled.as_json(), json=json, text=_drawn(drilled))
    if not drilled.passed:
        raise typer.Exit(1)


def _faults(only: str | None, *, quick: bool) -> tuple[str, ...]:
    if only is None:
        return QUICK if quick else tuple(FAULTS)
    names = tuple(name.strip() for name in only.split(","))
    for name in names:
        if name not in FAULTS:
            raise ConfigError(f"--only: {name!r} is no fault; one of {', '.join(FAULTS)}")
    return names


def _namespaces(lines: str | None) -> bool:
    if lines not in {None, "namespaces", "loopback"}:
        raise ConfigError(f"--lines: {lines!r} was given; namespaces or loopback was expected")
    lacks = why_not()
    if lines == "namespaces" and lacks:
        raise ConfigError(f"--lines namespaces: {lacks}")
    if lines is None and lacks:
        note(f"on loopback, through proxies: {lacks}")
    return lines != "loopback" and not lacks


def _told(outcome: Outcome) -> None:
    note(f"{outcome.name}: {_word(outcome)}{''.join(f'; {text}' for text in outcome.wrong)}")


def _word(outcome: Outcome) -> str:
    if outcome.passed is None:
        return "not held"
    seconds = "" if outcome.seconds_to_recover is None else f", {outcome.seconds_to_recover:g} s"
    return ("passed" if outcome.passed else "FAILED") + seconds


def _drawn(drilled: Drilled) -> RenderableType:
    rows = [
        [
            outcome.name,
            outcome.text,
            {True: "yes", False: "NO", None: "not held"}[outcome.passed],
            "–" if outcome.seconds_to_recover is None else f"{outcome.seconds_to_recover:g}",
            "; ".join(outcome.wrong),
        ]
        for outcome in drilled.drills
    ]
    first, last = (f"{size / 1e6:.0f}" for size in drilled.memory_bytes)
    closing = (
        f"{drilled.seconds:.0f} s on {drilled.lines}: {drilled.exchanges} exchanges, {drilled.restarts} restarts, "
        f"phases lost {drilled.lost}, memory of the largest node {first} MB, then {last} MB\n"
        f"everything is in {drilled.output}"
    )
    return Group(table(("fault", "what", "passed", "s to recover", "wrong"), rows), closing)
