"""`gossipfl drill`: faults on real processes, and how long nodes take to be as before."""

from collections.abc import Sequence
from statistics import median
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from gossipfl.cli.options import JsonOption, OutputOption, command_app, example
from gossipfl.cli.output import emit, note, table
from gossipfl.errors import ConfigError
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.drill.drills import QUICK, Drilled, Outcome, Wish, hold_drills
from gossipfl.studies.drill.faults import FAULTS
from gossipfl.studies.drill.faults.fault import Fault
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
    # who names a fault wants it held
    if not drilled.passed or (only and drilled.not_held):
        raise typer.Exit(1)


def _faults(only: str | None, *, quick: bool) -> tuple[Fault, ...]:
    usual = QUICK if quick else tuple(FAULTS)
    names = usual if only is None else tuple(name.strip() for name in only.split(","))
    for name in names:
        if name not in FAULTS:
            raise ConfigError(f"--only: {name!r} is no fault; one of {', '.join(FAULTS)}")
    return tuple(FAULTS[name] for name in names)


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
    names = dict.fromkeys(outcome.name for outcome in drilled.drills)
    rows = [_row([outcome for outcome in drilled.drills if outcome.name == name]) for name in names]
    first, last = (f"{size / 1e6:.0f}" for size in drilled.memory_bytes)
    closing = (
        f"{drilled.seconds:.0f} s on {drilled.lines}: {drilled.faults} faults, {drilled.exchanges} exchanges, "
        f"{drilled.restarts} restarts, phases lost {drilled.lost}, "
        f"memory of the largest node {first} MB, then {last} MB\n"
    )
    missing = f"not held, which is not passed: {', '.join(drilled.not_held)}\n" if drilled.not_held else ""
    columns = ("fault", "what", "passed", "s to recover", "apart", "grew by", "wrong")
    return Group(table(columns, rows), f"{closing}{missing}everything is in {drilled.output}")


def _row(outcomes: Sequence[Outcome]) -> Sequence[str]:
    """One fault, however often it struck: the typical and the largest seconds, the largest figures."""
    seconds = [outcome.seconds_to_recover for outcome in outcomes if outcome.seconds_to_recover is not None]
    apart = [outcome.figures["apart"] for outcome in outcomes if "apart" in outcome.figures]
    grown = [outcome.figures["grown_bytes"] for outcome in outcomes if "grown_bytes" in outcome.figures]
    several = len(seconds) > 1
    return (
        outcomes[0].name,
        outcomes[0].text,
        _verdict(outcomes),
        (f"{median(seconds):.1f}" + (f", at most {max(seconds):g}" if several else "")) if seconds else "–",
        f"{max(apart):g} x" if apart else "–",
        f"{max(grown) / 1e6:.0f} MB" if grown else "–",
        "; ".join(dict.fromkeys(text for outcome in outcomes for text in outcome.wrong)),
    )


def _verdict(outcomes: Sequence[Outcome]) -> str:
    if outcomes[0].passed is None:
        return "not held"
    passed = sum(outcome.passed is True for outcome in outcomes)
    if len(outcomes) == 1:
        return "yes" if passed else "NO"
    return f"{passed} of {len(outcomes)}"
