"""The `gossipfl` command: one table of commands, one place for exit codes.

How to add a command `foo`:

1.  Write `cli/foo.py` with a public `app`, made by `command_app()`. One `@app.command()` makes `gossipfl foo`; several,
    or one beside an `@app.callback()`, make `gossipfl foo bar`. A group that also does something without a subcommand
    (`certs DIR` beside `certs sign`) is `command_app(default="make")`, with `make` a hidden command.

        app = command_app()

        @app.command(epilog=example("gossipfl foo --peers peers.yaml"))
        def foo(*, peers: PeersOption, name: NameOption = None, json: JsonOption = False) -> None:
            # the docstring is the help text
            emit({"answer": 42}, json=json, text="the answer is 42")

2.  Add its line to `COMMANDS`. The module is imported when the command is run, not before: it may import torch on top.

Options that commands share (`PeersOption`, `JsonOption`, …) are in `cli/options.py`, printing is in `cli/output.py`. A
command returns None; it raises `UserError` for the user's mistake and `typer.Exit(code)` for any other exit code, and
writes nothing but its result to stdout (`note()` for progress).

Exit codes: 0 done; 2 the user's mistake, one line `error: …` on stderr; 3 a node stopped together with all others;
130 Ctrl-C; 1 anything else.
"""

import atexit
import gc
import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Annotated, NoReturn

import typer

from gossipfl.cli.faults import Fault, fault_of
from gossipfl.cli.groups import Entry, lazy_group

COMMANDS: Mapping[str, Entry] = {
    "demo": Entry("gossipfl.cli.demo", "Four real nodes on this machine, from nothing to a table."),
    "init": Entry("gossipfl.cli.init", "Write peers.yaml, experiment.yaml and certificates."),
    "certs": Entry("gossipfl.cli.certs", "Make, request and sign node certificates."),
    "inspect": Entry("gossipfl.cli.inspect", "Show exactly what would leave this node."),
    "check": Entry("gossipfl.cli.check", "Say everything that can be known before training."),
    "node": Entry("gossipfl.cli.node", "Run one node."),
    "status": Entry("gossipfl.cli.status", "Ask every node how it is."),
    "checkpoint": Entry("gossipfl.cli.checkpoint", "Checkpoints that all nodes keep together and sign."),
    "stop": Entry("gossipfl.cli.stop", "Stop all nodes after the same phase."),
    "rollback": Entry("gossipfl.cli.rollback", "Take a node back to a checkpoint that all have signed."),
    "dashboard": Entry("gossipfl.cli.dashboard", "Show all nodes live on one page."),
    "fedavg": Entry("gossipfl.cli.fedavg", "Run an experiment with a server in the middle, by Flower."),
    "simulate": Entry("gossipfl.cli.simulate", "Run an experiment on a virtual clock, in one process."),
    "compare": Entry("gossipfl.cli.compare", "Run arms times seeds of an experiment, and report on them."),
    "advise": Entry("gossipfl.cli.advise", "Try schedules, protocols and codecs, and name the best three."),
    "plot": Entry("gossipfl.cli.plot", "Pictures of recorded runs."),
    "topology": Entry("gossipfl.cli.topology", "Figures and pictures of graphs."),
    "privacy": Entry("gossipfl.cli.privacy", "Plan privacy, and read what is spent."),
    "drill": Entry("gossipfl.cli.drill", "Fault drills on real node processes of this machine."),
    "audit": Entry("gossipfl.cli.audit", "Attack an experiment's privacy, and say what came of it."),
    "evaluate": Entry("gossipfl.cli.evaluate", "Loss and metrics of a node's current adapter."),
    "generate": Entry("gossipfl.cli.generate", "Text from an exported adapter."),
    "export": Entry("gossipfl.cli.export", "Write an adapter as a PEFT folder or a merged model."),
}
"""Name of each command, its module, and its line in `gossipfl --help`."""

# the interpreter's last collection walks all of torch, a second of work for nothing: a stopped node has to be gone soon
atexit.register(gc.freeze)

app = typer.Typer(cls=lazy_group(COMMANDS), rich_markup_mode=None, add_completion=False)


def _print_version(wanted: bool) -> None:  # noqa: FBT001  # Typer passes it by place
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  # slow to import, rarely wanted

        typer.echo(f"gossipfl {version('gossipfl')}")
        raise typer.Exit


@app.callback(invoke_without_command=True, epilog="Example: gossipfl topology show ring --nodes 16")
def root(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001  # acts in its callback
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Decentralized federated fine-tuning: nodes train on their own data and average adapters with their neighbors."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (default: this process's) and gives its exit code.

    Guarantees:
        A user's mistake prints one line that begins with `error:` on stderr, never a traceback.

    Raises:
        Exception: a bug of ours, as it is.
    """
    command = typer.main.get_command(app)
    try:
        code = command.main(
            args=None if arguments is None else list(arguments), prog_name="gossipfl", standalone_mode=False
        )
    except BaseException as error:
        fault = fault_of(error)
        if fault is None:
            raise
        _report(fault)
        return fault.exit_code
    return code if isinstance(code, int) else 0


def run() -> NoReturn:
    """The process: one command line and its exit code, also when a long training step is still under way."""
    code = main()
    if _is_training():
        # its charges are durable; the interpreter's end would tear the thread out of torch, which aborts the process
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _is_training() -> bool:
    if threading.active_count() == 1:
        return False
    from gossipfl.node.worker import is_training  # noqa: PLC0415  # asyncio, which most commands do without

    return is_training()


def _report(fault: Fault) -> None:
    if fault.message:
        print(f"error: {' '.join(fault.message.split())}", file=sys.stderr)  # noqa: T201
